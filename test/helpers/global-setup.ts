import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { TestProject } from "vitest/node";
import { nodeDirectory } from "./environment.ts";
import { copyTree } from "./tree.ts";
import { removeStaleUsers } from "./user.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** Where the runnable tree of this test run lies. */
    tree: string;
  }
}

/** Before the first behaviour test; what it returns runs after the last. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (process.getuid?.() !== 0) throw new Error("the behaviour tests make users: run them as root");
  await assertNodeForAll();
  await removeStaleUsers();
  const tree = await copyTree();
  project.provide("tree", tree.path);
  return async () => tree[Symbol.asyncDispose]();
}

async function assertNodeForAll(): Promise<void> {
  const node = `${nodeDirectory()}/node`;
  try {
    await promisify(execFile)(node, ["--version"], { uid: 65_534, gid: 65_534, cwd: "/", env: {} });
  } catch (cause) {
    throw new Error(`ordinary users can't run ${node}: put a Node first on PATH that they can`, { cause });
  }
}
