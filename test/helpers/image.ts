import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import { promisify } from "node:util";
import { pack } from "tar-stream";

const run = promisify(execFile);

/**
 * The tar of an image of a few megabytes, for `docker import -`: a busybox under all its names. It needs busybox-static: an
 * image has no libraries.
 */
export async function busyboxImage(): Promise<Buffer> {
  const { stdout: where } = await run("sh", ["-c", "command -v busybox"]);
  const binary = await readFile(where.trim());
  const { stdout: names } = await run("busybox", ["--list"]);
  const tar = pack();
  for (const directory of ["bin", "dev", "etc", "proc", "sys", "tmp"]) {
    tar.entry({ name: `${directory}/`, type: "directory", mode: directory === "tmp" ? 0o1777 : 0o755 });
  }
  tar.entry({ name: "bin/busybox", mode: 0o755 }, binary);
  for (const name of names.split("\n").filter((name) => name !== "" && name !== "busybox")) {
    tar.entry({ name: `bin/${name}`, type: "symlink", linkname: "busybox" });
  }
  tar.entry({ name: "etc/passwd" }, "root:x:0:0:root:/:/bin/sh\n");
  tar.finalize();
  return buffer(tar);
}
