import { chown, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { nodeDirectory } from "../../test/helpers/environment.ts";
import { type Running, start } from "../../test/helpers/run.ts";
import type { User } from "../../test/helpers/user.ts";

/** What came of a case: names of things, and texts. */
export type Transcript = Readonly<Record<string, string>>;

const DEADLINE = 20_000; // milliseconds

/** One of the two that are compared: its programs, first on PATH, for one case. */
export class Subject implements AsyncDisposable {
  readonly name: string;
  /** A directory of this case's own: TMPDIR, and a place for state directories. */
  readonly directory: string;
  readonly #user: User;
  readonly #bin: string;

  private constructor(name: string, user: User, bin: string, directory: string) {
    this.name = name;
    this.#user = user;
    this.#bin = bin;
    this.directory = directory;
  }

  /** `bin` holds rootlesskit and rootlessctl. */
  static async make(name: string, user: User, bin: string): Promise<Subject> {
    await mkdir(join(user.home, "compare"), { recursive: true });
    const directory = await mkdtemp(join(user.home, "compare", "c"));
    await chown(directory, user.uid, user.gid);
    return new Subject(name, user, bin, directory);
  }

  /** Starts a script in a shell. */
  start(script: string, env: Readonly<Record<string, string | undefined>> = {}, terminal = false): Running {
    const path = [this.#bin, nodeDirectory(), "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"];
    const own = { PATH: path.join(delimiter), TMPDIR: this.directory };
    // A shell without PATH has one of its own: the program is found all the same.
    const find = env.PATH === undefined && "PATH" in env ? `rootlesskit() { ${this.#bin}/rootlesskit "$@"; }; ` : "";
    return start(this.#user, ["bash", "-c", find + script], { env: { ...own, ...env }, cwd: this.directory, terminal });
  }

  /** Runs a script in a shell: its exit status, what it has written, and what it has left behind. */
  async shell(script: string, env: Readonly<Record<string, string | undefined>> = {}): Promise<Transcript> {
    await using run = this.start(script, env);
    const { code, signal, stdout, stderr } = await run.result(DEADLINE);
    return this.transcript({ status: String(code ?? signal), stdout, stderr });
  }

  /** Texts as they can be compared, with the names of what lies in the directory. */
  async transcript(texts: Transcript): Promise<Transcript> {
    const left = (await readdir(this.directory)).sort().join(" ");
    const all = { ...texts, ...(left !== "" && { "left behind": left }) };
    return Object.fromEntries(Object.entries(all).map(([name, text]) => [name, this.#normal(text)]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }

  /** Without what differs between any two runs. */
  #normal(text: string): string {
    return (
      text
        .replaceAll(this.directory, "DIR")
        .replaceAll(this.#user.name, "USER")
        .replaceAll(String(this.#user.uid), "UID")
        .replaceAll(/rootlesskit\d+/g, "rootlesskitN")
        // RootlessKit's child tells now and then that its parent has gone; where it stays silent nothing is missing.
        .replaceAll(/\[rootlesskit:child \] error: parsing message from fd 3: EOF\n/g, "")
        .replaceAll(/time="[^"]*"/g, 'time="T"')
        .replaceAll(/("version": ?)"[^"]*"/g, '$1"V"')
        .replaceAll(/("childPID": ?)\d+/g, "$1N")
        .replaceAll(/(Child PID|Implementation version): .*/g, "$1: N")
        .replaceAll(/^Date: .*$/gm, "Date: D")
        .replace(/NAME:\n {3}rootless[\s\S]*/, "HELP\n")
    );
  }
}
