import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
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
import type { NetworkFacts } from "../network/choose.ts";
import { type Environment, environmentList } from "../options/run-options.ts";
import { copyUp } from "../plan/copy-up.ts";
import { Clone, type Instruction, Mount } from "../plan/operations.ts";
import type { StepOf } from "../plan/steps.ts";
import { type StorageTrial, tryStorage } from "../profiles/choose-storage.ts";
import type { StorageDriver } from "../profiles/storage.ts";
import type { FileTrial, Refusal, Sandbox } from "./machine.ts";
import { startNetwork } from "./network-trial.ts";
import { resolveHere, resolver } from "./resolve.ts";

/** The throw-away namespaces of this machine. All processes, mounts and files of it are gone when it is closed. */
export class Namespaces implements Sandbox {
  readonly #scope = new Scope();
  readonly #env: Environment;
  readonly #interrupted: () => void;
  #init: Child | undefined;
  #control: Control | undefined;
  #hasRun = false;
  /** The name server of the network that has been started. */
  #dns: string | undefined;

  /** `interrupted` is asked in waits, and may throw. */
  constructor(env: Environment, interrupted: () => void) {
    this.#env = env;
    this.#interrupted = interrupted;
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
    const started = startInit(this.#list, this.#interrupted);
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
      await writeIdMaps(step, this.#init?.pid ?? 0, this.#list, this.#interrupted);
      return undefined;
    } catch (error) {
      if (error instanceof RlkitError && error.code === "IDMAP_FAILED") return error.message;
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

  async startNetwork(facts: NetworkFacts): Promise<{ name: string } | { refused: Refusal; name: string }> {
    const pid = this.#init?.pid ?? 0;
    const run = (instructions: readonly Instruction[]) => this.#try(instructions);
    const where = { pid, env: this.#list, scope: this.#scope, interrupted: this.#interrupted, run };
    const { dns, ...result } = await startNetwork(where, facts);
    this.#dns = dns;
    return result;
  }

  async resolve(name: string): Promise<Record<"inside" | "outside", Refusal | undefined>> {
    if (this.#dns === undefined) throw new Error("the check needs a network before names");
    const outside = resolveHere(name);
    const { status, output } = await this.execute(resolver(this.#dns, name));
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
