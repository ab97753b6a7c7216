import { readFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { said } from "./helpers/instance.ts";
import { isRunning } from "./helpers/processes.ts";
import { type Running, rlkit, start, tree } from "./helpers/run.ts";
import { processesOf, testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

const CONTROL_C = "\x03";
const CONTROL_Z = "\x1a";
const END_OF_FILE = "\x04";

let user: User;

beforeEach(async () => {
  user = await testUser();
});

afterEach(() => user[Symbol.asyncDispose]());

/** R, S, T … as in proc_pid_stat(5). */
const state = (pid: number) => readFileSync(`/proc/${pid}/stat`, "latin1").split(") ").at(-1)?.[0];

/** How often `words` were written. */
const count = (text: string, words: string) => text.split(words).length - 1;

/** Waits for the shell's prompt after ^C: what is typed before it is thrown away together with the interrupted line. */
const promptAfterInterrupt = (run: Running) =>
  until(() => /\^C[\s\S]*[#$] $/.test(run.stdout), { what: "the prompt after ^C" });

test.each([[[]], [["--pidns"]]])(
  "bash has job control with %j: ^Z stops a job, fg goes on with it",
  async (options) => {
    await using run = rlkit(user, ["run", "--net=none", ...options, "--", "bash", "--norc", "-i"], { terminal: true });
    run.write("cat\n");
    const job = await until(async () => (await processesOf(user)).find(({ name }) => name === "cat"));
    run.write(CONTROL_Z);
    await until(() => state(job.pid) === "T", { what: "the job to stop" });
    await said(run, "Stopped");
    run.write("fg\n");
    await until(() => state(job.pid) === "S", { what: "the job to go on" }); // it has been given the terminal before
    run.write("a line\n");
    await until(() => count(run.stdout, "a line") >= 2, { what: "the job to answer" });
    run.write(END_OF_FILE);
    await until(() => !isRunning(job.pid), { what: "the job to end" });
    run.write("exit 5\n");
    expect(await run.result()).toMatchObject({ code: 5 });
    expect(run.stdout).not.toMatch(/cannot set terminal process group|no job control/);
  },
);

test("^C at the terminal reaches the command exactly once", async () => {
  const script = "trap 'echo got INT' INT; echo ready; while ! read -r; do :; done; echo counted";
  await using run = rlkit(user, ["run", "--net=none", "--", "bash", "-c", script], { terminal: true });
  await said(run, "ready");
  run.write(CONTROL_C);
  await said(run, "got INT");
  run.write("\n");
  expect(await run.result()).toMatchObject({ code: 0 });
  expect(count(run.stdout, "got INT")).toBe(1);
});

test("^Z stops rlkit with its command, so that the shell has its prompt, and fg goes on with both", async () => {
  await using shell = start(user, ["bash", "--norc", "-i"], { terminal: true });
  shell.write(`${tree()}/bin/rlkit run --net=none -- sh -c 'echo job$((6 * 7)); exec cat'\n`);
  await said(shell, "job42");
  shell.write(CONTROL_Z);
  await said(shell, "Stopped");
  shell.write("echo prompt$((6 * 7)); fg\n");
  await said(shell, "prompt42");
  shell.write("line of text\n");
  await until(() => count(shell.stdout, "line of text") >= 2, { what: "cat to answer" });
  shell.write(CONTROL_C);
  await promptAfterInterrupt(shell);
  shell.write("echo status $?; exit\n");
  await said(shell, "status 130");
});

test("the terminal is as it was when the command has ended", async () => {
  const settings = "stty -a >before";
  const run = `${tree()}/bin/rlkit run --net=none -- true`;
  await using shell = start(
    user,
    ["bash", "-c", `${settings}; ${run}; stty -a >after; cmp before after && echo same`],
    {
      terminal: true,
    },
  );
  await said(shell, "same");
});

test("decisions are told in short lines, and the way to a daemon as lines to paste", async () => {
  await using run = rlkit(user, ["run", "--net=slirp4netns", "--", "true"], { terminal: true });
  await run.result();
  expect(run.stdout).toMatch(/^\[\d\d:\d\d:\d\d\].*INFO.*: .*network: slirp4netns, asked for.*$/m);
  await using daemon = rlkit(user, ["run", "--net=none", "--", "dockerd", "--version"], { terminal: true });
  await daemon.result();
  expect(daemon.stdout).toContain(`  export XDG_RUNTIME_DIR=${user.runtimeDir}\r\n`);
  expect(daemon.stdout).toContain(`  export DOCKER_HOST=unix://${user.runtimeDir}/docker.sock\r\n`);
});
