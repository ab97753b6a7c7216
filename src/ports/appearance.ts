import type { Control } from "../launch/control.ts";
import { executeInside } from "../launch/execute-inside.ts";
import { log } from "../log.ts";
import { type Network, ownAddress } from "../network/choose.ts";
import type { RunOptions } from "../options/run-options.ts";
import type { ListenRequest } from "./portd-encoding.ts";
import { installTransparency, type Transparency, type TransparencyBackend } from "./transparency.ts";

interface Setting {
  control: Control;
  network: Network;
  options: RunOptions;
}

/** As 10.0.2.100, and for the same purpose; of the range for private networks (RFC 4193). */
const STAND_IN_6 = "fd00::64";

/**
 * How clients from other hosts appear inside: by their own addresses, or else by one that stands for all of them, and never as
 * 127.0.0.1, which programs trust (CVE-2021-20199). What that takes is set up by the first port for which it matters.
 */
export class Appearance {
  readonly #setting: Setting;
  #transparency: Promise<Transparency> | undefined;
  #standIns = new Map<4 | 6, Promise<string>>();
  /** By what means clients' addresses are kept; undefined before it mattered. */
  backend: TransparencyBackend | undefined;

  constructor(setting: Setting) {
    this.#setting = setting;
  }

  /** For a port that leads to this address. */
  async clients(target: string, kind: ListenRequest["kind"]): Promise<Pick<ListenRequest, "keepClient" | "standIn">> {
    const family = target.includes(":") ? 6 : 4;
    const standIn = await this.#standIn(family);
    if (kind !== "stream" || !this.#setting.options.ports.keepClient) return { keepClient: false, standIn };
    this.#transparency ??= this.#install();
    const { backend, ipv6 } = await this.#transparency;
    return { keepClient: backend !== "none" && (family === 4 || ipv6), standIn };
  }

  /** The network's own address; where it has none of the family, one is added to lo. "" if that is not possible. */
  #standIn(family: 4 | 6): Promise<string> {
    const { control, network, options } = this.#setting;
    const child = ownAddress(network, options.network);
    if (family === 4 && network.kind === "helper") return Promise.resolve(child);
    const known = this.#standIns.get(family);
    if (known !== undefined) return known;
    const [address, prefix] = family === 4 ? [child, 32] : [STAND_IN_6, 128];
    const added = control
      .run([{ op: ["addr_add", "lo", address, prefix], mayFail: true }])
      .then(([result = -1]) => (result < 0 ? "" : address));
    this.#standIns.set(family, added);
    return added;
  }

  async #install(): Promise<Transparency> {
    const { control, options } = this.#setting;
    const installed = await installTransparency(
      {
        run: (instructions) => control.run(instructions),
        execute: (argv) => executeInside(control, argv, [`PATH=${options.env.PATH ?? ""}:/usr/sbin:/sbin`]),
      },
      options.ports.backend,
    );
    const { backend, reasons } = installed;
    this.backend = backend;
    const why = reasons.join("; ");
    if (backend === "none") {
      log.warn(`clients of published ports appear inside by the network's own address, not by theirs: ${why}`);
    } else log.debug(`clients' addresses are kept by ${backend}${why && `, but not all: ${why}`}`);
    return installed;
  }
}
