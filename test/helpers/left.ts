import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { commandLine } from "./processes.ts";
import { processesOf, temporaryFiles, type User } from "./user.ts";

/**
 * What is left of everything that the user ever started, a line each: processes, mounts of the host's namespace, files of its
 * runtime directory and of the directories for temporary files. `expect(await leftovers(user)).toEqual([])`
 */
export async function leftovers(user: User): Promise<string[]> {
  return [...(await leftProcesses(user)), ...(await leftMounts(user)), ...(await leftFiles(user))];
}

async function leftProcesses(user: User): Promise<string[]> {
  return (await processesOf(user)).map(({ pid, name, state }) => `process ${pid} (${name}, ${state}): ${command(pid)}`);
}

function command(pid: number): string {
  try {
    return commandLine(pid);
  } catch {
    return "has just ended"; // still worth a line: it was there when its creator claimed to be done
  }
}

async function leftMounts(user: User): Promise<string[]> {
  const directories = [user.home, user.runtimeDir];
  return (await readFile("/proc/self/mountinfo", "utf8"))
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((point) => directories.some((directory) => point === directory || point.startsWith(`${directory}/`)))
    .map((point) => `mount ${point}`);
}

async function leftFiles(user: User): Promise<string[]> {
  const inRuntimeDir = (await readdir(user.runtimeDir)).map((name) => join(user.runtimeDir, name));
  const temporary = (await temporaryFiles(user)).filter((path) => path !== user.home);
  return [...inRuntimeDir, ...temporary].map((path) => `file ${path}`);
}
