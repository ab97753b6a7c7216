import { join } from "node:path";
import { findProgram } from "../host/programs.ts";
import type { Control } from "../launch/control.ts";
import { capture } from "../native/capture.ts";
import { type Network, networkAddresses } from "../network/choose.ts";
import type { RunOptions } from "../options/run-options.ts";
import { Appearance } from "./appearance.ts";
import { builtinDriver } from "./builtin.ts";
import type { PortDriver, PortDriverName } from "./driver.ts";
import { type PestoSetting, pestoDriver } from "./pesto.ts";
import { Portd } from "./portd.ts";
import { slirp4netnsDriver } from "./slirp4netns.ts";
import { PortTable } from "./table.ts";
import type { TransparencyBackend } from "./transparency.ts";

/** What a run's port driver needs to know of the run. */
export interface PortsSetting {
  name: PortDriverName;
  control: Control;
  network: Network;
  options: RunOptions;
  stateDir: string;
  interrupted: () => void;
}

/** The published ports of one run. */
export interface Ports {
  name: PortDriverName;
  table: PortTable;
  /** The process that forwards, where it is one of ours. */
  portd: Portd | undefined;
  /** By what means clients' addresses are kept; undefined before it mattered. */
  transparency(): TransparencyBackend | undefined;
  /** Has a network helper that was started again forward what the last one did. Ports that it does not take are logged. */
  replay(): Promise<void>;
  /** Nothing of it is to be started again: the run ends. */
  close(): Promise<void>;
}

/** Makes the port table of a run; undefined when its driver publishes nothing on demand. Starts nothing yet. */
export function makePorts(setting: PortsSetting): Ports | undefined {
  const { name, network, options, stateDir, control } = setting;
  const child = networkAddresses(network, options.network)?.child ?? "";
  const simple = (driver: PortDriver & Pick<Ports, "replay">): Ports => ({
    name,
    table: new PortTable(driver),
    portd: undefined,
    transparency: () => undefined,
    replay: () => driver.replay(),
    close: async () => {},
  });
  switch (name) {
    case "none":
    case "implicit":
      return undefined;
    case "slirp4netns":
      return simple(slirp4netnsDriver(join(stateDir, ".s4nn.sock"), child));
    case "pesto":
      return simple(pestoDriver(pestoSetting(setting, child)));
    case "builtin": {
      const portd = new Portd(control, setting.interrupted);
      const appearance = new Appearance(setting);
      const driver = builtinDriver(portd, { clients: (target, kind) => appearance.clients(target, kind) });
      portd.replay = (plane) => driver.replay(plane);
      return {
        name,
        table: new PortTable(driver),
        portd,
        transparency: () => appearance.backend,
        replay: async () => {}, // portd does not need the helper
        close: () => portd.stop(),
      };
    }
  }
}

function pestoSetting({ stateDir, options }: PortsSetting, tap: string): PestoSetting {
  const path = options.env.PATH ?? "";
  return {
    pesto: findProgram(options.network.programs?.pesto ?? "pesto", path) ?? "pesto", // the planner has seen that it is there
    socketPath: join(stateDir, ".pasta.sock"),
    tap,
    ipv6: options.network.ipv6,
    run: async ([program = "", ...args]) => capture(program, args, [`PATH=${path}`]),
  };
}
