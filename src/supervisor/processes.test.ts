import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { argumentsOf, descendants, innerPid, memoryOf, readProcess } from "./processes.ts";

const children: ChildProcess[] = [];
const directory = mkdtempSync(join(tmpdir(), "processes-"));

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

function start(program: string, ...args: string[]): number {
  const child = spawn(program, args, { stdio: "ignore" });
  children.push(child);
  return child.pid ?? expect.unreachable();
}

test("a process's name may hold blanks and brackets; with its start it is named for ever", async () => {
  const program = join(directory, "a) S 1 (b");
  copyFileSync("/usr/bin/sleep", program);
  const pid = start(program, "60");
  const expected = { pid, parent: process.pid, name: "a) S 1 (b", state: "S", started: expect.any(Number) };
  await vi.waitFor(() => expect(readProcess(pid)).toEqual(expected));
  expect(readProcess(pid)?.started).toBe(readProcess(pid)?.started);
  rmSync(directory, { recursive: true });
});

test("the processes below one, the nearest first; those that have ended are none", async () => {
  const shell = start("sh", "-c", "sleep 60 & sh -c 'sleep 61 & wait' & wait");
  await vi.waitFor(() =>
    expect(
      descendants(shell)
        .map(({ name }) => name)
        .sort(),
    ).toEqual(["sh", "sleep", "sleep"]),
  );
  const found = descendants(shell);
  const [last] = found.slice(-1);
  expect(found.find(({ pid }) => pid === last?.parent)?.parent).toBe(shell);
  for (const { pid, name } of found) if (name === "sleep") process.kill(pid, "SIGKILL");
  await vi.waitFor(() => expect(descendants(shell)).toEqual([]));
});

test("what can't be read is undefined", async () => {
  const child = spawn("true", { stdio: "ignore" });
  await once(child, "exit");
  const pid = child.pid ?? 0;
  expect([readProcess(pid), innerPid(pid), memoryOf(pid), argumentsOf(pid)]).toEqual([
    undefined,
    undefined,
    undefined,
    [],
  ]);
});

test("memory, arguments and the pid inside", () => {
  expect(memoryOf(process.pid)).toBeGreaterThan(2 ** 20);
  expect(innerPid(process.pid)).toBe(process.pid);
  expect(argumentsOf(start("sleep", "60"))).toBeInstanceOf(Array);
});
