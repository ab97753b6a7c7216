import { fstatSync, readFileSync } from "node:fs";
import { basename } from "node:path";

/** The pid that holds a flock(2) on the file behind `fd`, from /proc/locks (proc_locks(5)). */
function holder(fd: number): number | undefined {
  const { dev, ino } = fstatSync(fd);
  const [major, minor] = [(dev >> 8) & 0xfff, (dev & 0xff) | ((dev >> 12) & 0xfff00)];
  const hex = (n: number): string => n.toString(16).padStart(2, "0");
  const file = `${hex(major)}:${hex(minor)}:${ino}`;
  for (const line of readFileSync("/proc/locks", "latin1").split("\n")) {
    const [, kind, , , pid, where] = line.trim().split(/\s+/);
    if (kind === "FLOCK" && where === file && Number(pid) !== process.pid) return Number(pid);
  }
  return undefined;
}

function describeAge(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

/** Who holds the lock, for a message: `pid 4242 (rlkit run -- dockerd, up 3 h)`. */
export function describeLockHolder(fd: number): string {
  const pid = holder(fd);
  if (pid === undefined) return "another run";
  try {
    const argv = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").filter(Boolean);
    const bundle = argv.findIndex((word) => word.endsWith("/boot.cjs"));
    const command = (bundle === -1 ? argv : [basename(argv[bundle + 1] ?? ""), ...argv.slice(bundle + 2)]).join(" ");
    const started = Number(readFileSync(`/proc/${pid}/stat`, "latin1").split(") ").at(-1)?.split(" ")[19]) / 100;
    const uptime = Number(readFileSync("/proc/uptime", "latin1").split(" ")[0]);
    return `pid ${pid} (${command}, up ${describeAge(uptime - started)})`;
  } catch {
    return `pid ${pid}`; // it has just ended, or /proc hides other processes
  }
}
