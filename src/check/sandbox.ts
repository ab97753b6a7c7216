import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { RlkitError, SyscallError } from "../errors.ts";
import { findProgram } from "../host/programs.ts";
import type { Child } from "../launch/children.ts";
import type { Control } from "../launch/control.ts";
import { executeInside } from "../launch/execute-inside.ts";
import { writeIdMaps } from "../launch/id-maps.ts";
import { Scope } from "../launch/scope.ts";
import { startInit } from "../launch/start-init.ts";
import type { Captured } from "../native/capture.ts";
import { errnoName } from "../native/errno.ts";
import { batch, newTable } from "../native/nftables.ts";
import { chooseNetwork, type NetworkFacts } from "../network/choose.ts";
import { addresses, type NetworkOptions } from "../network/driver.ts";
import { freeCidr } from "../network/free-cidr.ts";
import { HelperProcess } from "../network/helper-process.ts";
import { type Environment, environmentList } from "../options/run-options.ts";
import { copyUp } from "../plan/copy-up.ts";
import { Clone, type Instruction, Mount } from "../plan/operations.ts";
import type { StepOf } from "../plan/steps.ts";
import { type StorageTrial, tryStorage } from "../profiles/choose-storage.ts";
import type { StorageDriver } from "../profiles/storage.ts";
import type { FileTrial, Refusal, Sandbox } from "./machine.ts";
import { resolveHere, resolver } from "./resolve.ts";

/** Those of a run to which nothing was said. */
const NETWORK: NetworkOptions = {
  mtu: undefined,
  cidr: { base: 0x0a000200, prefix: 24, custom: false },
  ifname: "tap0",
  disableHostLoopback: true,
  ipv6: false,
};

const nothing = (): void => {};

/** The throw-away namespaces of this machine. All processes, mounts and files of it are gone when it is closed. */
export class Namespaces implements Sandbox {
  readonly #scope = new Scope();
  readonly #env: Environment;
  #init: Child | undefined;
  #control: Control | undefined;
  #hasRun = false;
  #dns: { inside: string; outside: Promise<Refusal | undefined> } | undefined;

  constructor(env: Environment) {
    this.#env = env;
  }

  close(): Promise<void> {
    return this.#scope.close();
  }

  get #list(): string[] {
    return environmentList(this.#env);
  }

  get #inside(): Control {
    if (this.#control === undefined) throw new Error("the check needs namespaces before they are made");
    return this.#control;
  }

  #start(): { init: Child; control: Control } {
    const started = startInit(this.#list, nothing);
    this.#scope.defer(async () => {
      started.control.close();
      if ((await started.init.wait(5000)) === undefined) started.init.kill(9);
    });
    return started;
  }

  async unshare(): Promise<Refusal | undefined> {
    try {
      const { init, control } = this.#start();
      [this.#init, this.#control] = [init, control];
    } catch (error) {
      if (error instanceof SyscallError) return error.code;
      throw error;
    }
    return await this.#try([
      { op: ["unshare", Clone.user | Clone.mount | Clone.net] },
      // AppArmor may let the namespaces be made and take their privileges away.
      { op: ["mount", "none", "/", "", Mount.private | Mount.recursive, ""] },
      { op: ["link_up", "lo"] },
    ]);
  }

  /** The errno of the first instruction that failed. */
  async #try(instructions: readonly Instruction[], control = this.#inside): Promise<Refusal | undefined> {
    const results = await control.run(instructions);
    const failed = results.find((result) => result < 0);
    return failed === undefined ? undefined : errnoName(-failed);
  }

  async map(step: StepOf<"write-id-maps">): Promise<Refusal | undefined> {
    try {
      await writeIdMaps(step, this.#init?.pid ?? 0, this.#list, nothing);
      return undefined;
    } catch (error) {
      if (error instanceof RlkitError) return error.message;
      throw error;
    }
  }

  async mounts(): Promise<Record<"tmpfs" | "proc", Refusal | undefined>> {
    // Another init: this one becomes the pid 1 of its namespace.
    const { control } = this.#start();
    const tmpfs = await this.#try(
      [{ op: ["unshare", Clone.user | Clone.mount] }, { op: ["mount", "none", "/tmp", "tmpfs", 0, ""] }],
      control,
    );
    if (tmpfs !== undefined) return { tmpfs, proc: undefined };
    const flags = Mount.noSuid | Mount.noDev | Mount.noExec;
    const pid = await this.#try([{ op: ["unshare", Clone.pid] }, { op: ["fork_pid1"] }], control);
    const proc = pid ?? (await this.#try([{ op: ["mount", "proc", "/proc", "proc", flags, ""] }], control));
    return { tmpfs, proc };
  }

  async startNetwork(given: NetworkFacts): Promise<{ name: string } | { refused: Refusal; name: string }> {
    let facts = given;
    let failure = { name: "", refused: "" };
    for (;;) {
      let network: ReturnType<typeof chooseNetwork>;
      try {
        network = chooseNetwork("auto", facts);
      } catch (error) {
        if (failure.name === "" || !(error instanceof RlkitError)) throw error;
        return failure; // the one that there is has just failed
      }
      if (network.kind !== "helper") throw new Error("the automatic network is always a helper's");
      const { name } = network.driver;
      try {
        await this.#startHelper(network, facts);
        return { name };
      } catch (error) {
        if (!(error instanceof RlkitError)) throw error;
        failure = { name, refused: error.message };
        if (name !== "pasta") return failure;
        facts = { ...facts, pastaFailure: error.message };
      }
    }
  }

  async #startHelper(
    { driver, helper, why }: Extract<ReturnType<typeof chooseNetwork>, { kind: "helper" }>,
    facts: NetworkFacts,
  ): Promise<void> {
    const options = { ...NETWORK, cidr: freeCidr(NETWORK.cidr, facts.routed ?? []) };
    const refused = await this.#try(driver.before(options));
    if (refused !== undefined) throw new RlkitError("NETWORK", `cannot make a tap device: ${refused}`);
    const directory = mkdtempSync(join(tmpdir(), "rlkit-check-"));
    this.#scope.defer(() => rmSync(directory, { recursive: true, force: true }));
    const args = driver.args(options, helper, { kind: "none" });
    const step = {
      do: "start-helper",
      driver: driver.name,
      path: helper.path,
      args,
      ready: driver.ready,
      why,
    } as const;
    const running = new HelperProcess(step, this.#init?.pid ?? 0, directory, this.#list);
    this.#scope.defer(async () => {
      running.stop();
      await running.gone();
    });
    await running.ready(nothing);
    const after = await this.#try(driver.after(options));
    if (after !== undefined) throw new RlkitError("NETWORK", `cannot configure its interface: ${after}`);
    this.#dns = { inside: addresses(options).dns, outside: Promise.resolve(undefined) };
  }

  async resolve(name: string): Promise<Record<"inside" | "outside", Refusal | undefined>> {
    if (this.#dns === undefined) throw new Error("the check needs a network before names");
    const outside = resolveHere(name);
    const { status, output } = await this.execute(resolver(this.#dns.inside, name));
    return { inside: status === 0 ? undefined : output.trim() || `status ${status}`, outside: await outside };
  }

  async nftables(): Promise<Refusal | undefined> {
    return await this.#try([{ op: ["netlink", 12, batch("ip", "rlkit-check", [newTable])] }]);
  }

  async execute(argv: readonly string[]): Promise<Captured> {
    if (!this.#hasRun) {
      this.#hasRun = true;
      // As in a run: iptables has its lock in /run.
      await this.#inside.run(
        copyUp({ path: "/run", bound: [] }, "check").flatMap((step) => ({ op: step.op, mayFail: true })),
      );
      const chcon = existsSync("/sys/fs/selinux/enforce") && findProgram("chcon", this.#env.PATH ?? "");
      if (chcon) await this.execute([chcon, "system_u:object_r:iptables_var_run_t:s0", "/run"]);
    }
    try {
      return await executeInside(this.#inside, argv, this.#list);
    } catch (error) {
      if (error instanceof SyscallError) return { status: 127, output: error.code };
      throw error;
    }
  }

  async files(directory: string): Promise<FileTrial> {
    const base = nearest(directory);
    let scratch: string;
    let file: string;
    try {
      scratch = mkdtempSync(join(base, ".rlkit-check-"));
      this.#scope.defer(() => rmSync(scratch, { recursive: true, force: true }));
      file = join(scratch, "file");
      writeFileSync(file, "#!/bin/sh\n", { mode: 0o755 });
      chmodSync(file, 0o755); // whatever the umask
    } catch (error) {
      return { write: { errno: (error as NodeJS.ErrnoException).code ?? String(error), directory: base } };
    }
    const trial: FileTrial = {};
    const run = await this.execute([file]);
    if (run.status !== 0) trial.execute = run.output.trim() || `status ${run.status}`;
    const chown = await this.execute(["chown", "1:1", file]);
    if (chown.status !== 0) trial.chown = chown.output.trim().split(": ").at(-1) ?? `status ${chown.status}`;
    return trial;
  }

  async storage(directory: string, candidates: readonly StorageDriver[]): Promise<StorageTrial> {
    const scratch = mkdtempSync(join(nearest(directory), ".rlkit-check-"));
    this.#scope.defer(() => rmSync(scratch, { recursive: true, force: true }));
    return await tryStorage(this.#inside, scratch, candidates);
  }
}

/** The directory itself, or the nearest above it that is there: it is on the same file system when it is made. */
export function nearest(directory: string): string {
  return existsSync(directory) ? directory : nearest(dirname(directory));
}
