import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { loginEnvironment } from "./helpers/environment.ts";
import { instance } from "./helpers/instance.ts";
import { leftovers } from "./helpers/left.ts";
import { descendants, isRunning } from "./helpers/processes.ts";
import { rlkit } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

const signals = ["TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "ALRM", "CONT", "WINCH"] as const;

/** Writes the name of each signal that it gets to the file `got`. */
const COUNTS = `
  cd; for name in ${signals.join(" ")}; do trap "echo $name >>got" $name; done
  sleep infinity & echo ready; while :; do wait; done`;

let user: User;

beforeEach(async () => {
  user = await testUser();
});

afterEach(() => user[Symbol.asyncDispose]());

const got = async (): Promise<string[]> => (await readFile(join(user.home, "got"), "utf8")).trim().split("\n");

/** Sends each signal once the one before has arrived: a second copy of one would stand between them. */
async function sendAll(send: (signal: NodeJS.Signals) => void, names: readonly string[] = signals): Promise<void> {
  for (const name of names) {
    send(`SIG${name}` as NodeJS.Signals);
    await until(async () => (await got()).at(-1) === name, { what: `SIG${name} to arrive` });
  }
}

describe.each([[[]], [["--pidns"]]])("with %j", (options) => {
  const start = (how = {}) => instance(user, ["--net=none", ...options], COUNTS, how);

  test("each signal to rlkit reaches the command once", async () => {
    await using started = await start();
    await sendAll(started.run.kill);
    expect(await got()).toEqual(signals);
  });

  test("each signal to the process in child_pid reaches the command once", async () => {
    await using started = await start();
    await sendAll((signal) => process.kill(started.childPid, signal));
    expect(await got()).toEqual(signals);
  });

  test("many of one kind reach it, each that is sent after the one before has arrived", async () => {
    await using started = await start();
    const alternating = Array.from({ length: 20 }, (_, i) => (i % 2 ? "USR1" : "HUP"));
    await sendAll(started.run.kill, alternating);
    expect(await got()).toEqual(alternating);
  });

  test("^C and ^\\ at the terminal reach it once", async () => {
    await using started = await start({ terminal: true });
    started.run.write("\x03");
    await until(async () => (await got()).at(-1) === "INT");
    started.run.write("\x1c");
    await until(async () => (await got()).at(-1) === "QUIT");
    // A signal that somebody sends at a terminal is still passed on.
    await sendAll((signal) => process.kill(rlkitUnder(started.run.pid), signal), ["TERM", "HUP"]);
    expect(await got()).toEqual(["INT", "QUIT", "TERM", "HUP"]);
  });

  test("INT from somebody else reaches a command at a terminal once", async () => {
    await using started = await start({ terminal: true });
    await sendAll((signal) => process.kill(rlkitUnder(started.run.pid), signal), ["INT", "USR1"]);
    expect(await got()).toEqual(["INT", "USR1"]);
  });

  test("^C ends a command that has no handler, and rlkit with 130", async () => {
    await using started = await instance(user, ["--net=none", ...options], "echo ready; exec sleep infinity", {
      terminal: true,
    });
    started.run.write("\x03");
    expect(await started.run.result()).toMatchObject({ code: 130 });
    expect(await leftovers(user)).toEqual([]);
  });
});

/** rlkit itself under script(1), which made its terminal. */
function rlkitUnder(script: number): number {
  const [child] = descendants(script);
  if (child === undefined) throw new Error("script has no child");
  return child.pid;
}

describe("a signal during the launch leaves nothing", () => {
  const ends = { INT: 130, TERM: 143, HUP: 129, QUIT: 131 } as const;

  test.each(Object.entries(ends))("SIG%s while the network helper gets ready: %i", async (name, status) => {
    const mark = join(user.home, "helper-started");
    const path = await pathWith(
      user,
      "slirp4netns",
      `[ "$1" = --help ] && exec $REAL "$@"; touch ${mark}; exec sleep 999`,
    );
    await using run = rlkit(user, ["run", "--net=slirp4netns", "--", "touch", "ran"], { env: { PATH: path } });
    await until(() => readFile(mark).then(() => true));
    run.kill(`SIG${name}` as NodeJS.Signals);
    const { code, stderr } = await run.result(2000);
    expect({ code, stderr }).toEqual({ code: status, stderr: expect.stringContaining(`stopped by SIG${name}`) });
    expect(await leftovers(user)).toEqual([]);
    await expect(readFile(join(user.home, "ran"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("SIGINT at whichever moment", async () => {
    // Not a wait for anything: what is claimed holds at every moment, so moments are tried all through a launch.
    for (let moment = 0; moment <= 100; moment += 4) {
      await using run = rlkit(user, ["run", "--net=slirp4netns", "--copy-up=/etc", "--", "sleep", "infinity"]);
      await pause(moment);
      if (isRunning(run.pid)) run.kill("SIGINT");
      const { code, signal, stderr } = await run.result(3000);
      // Killed before it could catch anything, or ended in order.
      expect(code === 130 || signal === "SIGINT", `${code} ${signal} after ${moment} ms: ${stderr}`).toBe(true);
      expect(await leftovers(user), `after ${moment} ms`).toEqual([]);
    }
  });
});

/** A PATH whose first directory has a script of that name; `$REAL` in it is the program that it stands for. */
async function pathWith(of: User, name: string, script: string): Promise<string> {
  const file = join(of.home, name);
  await writeFile(file, `#!/bin/sh\nREAL=/usr/bin/${name}\n${script}\n`);
  await chmod(file, 0o755);
  return `${of.home}:${loginEnvironment(of).PATH}`;
}
