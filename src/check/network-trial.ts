import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RlkitError } from "../errors.ts";
import type { Scope } from "../launch/scope.ts";
import { chooseNetwork, type Network, type NetworkFacts } from "../network/choose.ts";
import type { NetworkOptions } from "../network/driver.ts";
import { freeCidr } from "../network/free-cidr.ts";
import { HelperProcess } from "../network/helper-process.ts";
import type { Instruction } from "../plan/operations.ts";
import type { Refusal } from "./machine.ts";

/** Those of a run to which nothing was said. */
const OPTIONS: NetworkOptions = {
  mtu: undefined,
  cidr: { base: 0x0a000200, prefix: 24, custom: false },
  ifname: "tap0",
  disableHostLoopback: true,
  ipv6: false,
  bridge: "",
};

/** The namespaces that are to have a network. */
interface Where {
  /** Of init. */
  pid: number;
  env: readonly string[];
  /** Ends the helper. */
  scope: Scope;
  /** Asked while the helper gets ready; may throw. */
  interrupted(): void;
  /** Carries instructions out; resolves to the errno of the first that failed. */
  run(instructions: readonly Instruction[]): Promise<Refusal | undefined>;
}

/** The helper that is ready and its name server; or, with why, the one that did not get ready. */
type Started = { name: string; dns: string } | { name: string; dns: undefined; refused: Refusal };

/** Starts the helper that a run would take, and the next one where pasta ends before it is ready, as a run does. */
export async function startNetwork(where: Where, facts: NetworkFacts): Promise<Started> {
  const network = chooseNetwork("auto", facts);
  if (network.kind !== "helper") throw new Error("the automatic network is always a helper's");
  const { name } = network.driver;
  try {
    return { name, dns: await startHelper(where, network, facts) };
  } catch (error) {
    if (!(error instanceof RlkitError) || error.code !== "NETWORK") throw error;
    const failed = { name, dns: undefined, refused: error.message };
    if (name !== "pasta") return failed;
    const others = { ...facts, pastaFailure: error.message };
    return canChoose(others) ? await startNetwork(where, others) : failed;
  }
}

function canChoose(facts: NetworkFacts): boolean {
  try {
    chooseNetwork("auto", facts);
    return true;
  } catch {
    return false; // why is known: the one that there is has failed
  }
}

/** Resolves to its name server. */
async function startHelper(
  { pid, env, scope, interrupted, run }: Where,
  { driver, helper, why }: Extract<Network, { kind: "helper" }>,
  { routed = [] }: NetworkFacts,
): Promise<string> {
  const options = { ...OPTIONS, cidr: freeCidr(OPTIONS.cidr, routed) };
  const refused = await run(driver.before(options));
  if (refused !== undefined) throw new RlkitError("NETWORK", `cannot make a tap device: ${refused}`);
  const directory = mkdtempSync(join(tmpdir(), "rlkit-check-"));
  scope.defer(() => rmSync(directory, { recursive: true, force: true }));
  const forwarding = { kind: "none" } as const;
  const args = driver.args(options, helper, forwarding);
  const ready = driver.ready(options, forwarding);
  const step = { do: "start-helper", driver: driver.name, path: helper.path, args, ready, why } as const;
  const running = new HelperProcess(step, pid, directory, env);
  scope.defer(async () => {
    running.stop();
    await running.gone();
  });
  await running.ready(interrupted);
  const unset = await run(driver.after(options));
  if (unset !== undefined) throw new RlkitError("NETWORK", `cannot configure its interface: ${unset}`);
  return driver.addresses(options).dns;
}
