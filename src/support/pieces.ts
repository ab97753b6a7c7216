import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ApiClient } from "../api/client.ts";
import { configPath } from "../config/path.ts";
import { findProgram } from "../host/programs.ts";
import { capture } from "../native/capture.ts";
import { binPath } from "../native/paths.ts";
import { environmentList, targetEnvironment } from "../options/run-options.ts";
import { redactEnvironment } from "./redact.ts";

/** A file of the tarball: its name, and what gets its text. */
export interface Piece {
  name: string;
  get(): string | Promise<string>;
}

const DEADLINE = 30_000; // milliseconds

const programs = [
  "dockerd",
  "docker",
  "containerd",
  "runc",
  "pasta",
  "slirp4netns",
  "newuidmap",
  "fuse-overlayfs",
  "iptables",
];

/** Settings of the kernel on which rootless containers depend. */
const sysctls = [
  "kernel/apparmor_restrict_unprivileged_userns",
  "kernel/unprivileged_userns_clone",
  "net/ipv4/ip_forward",
  "net/ipv4/ip_unprivileged_port_start",
  "net/ipv4/ping_group_range",
  "user/max_inotify_watches",
  "user/max_mnt_namespaces",
  "user/max_net_namespaces",
  "user/max_pid_namespaces",
  "user/max_user_namespaces",
];

/** What a bug report is made of. `api` is that of an instance, if one runs. */
export function pieces(env: NodeJS.ProcessEnv, api: () => ApiClient): Piece[] {
  const own = targetEnvironment(env);
  const variables = environmentList(own);
  const self =
    (...args: string[]): Piece["get"] =>
    () =>
      output(join(binPath(), "rlkit"), args, variables);
  const asked = (path: string) => async () => JSON.stringify(await api().ask("GET", path), undefined, 2);
  const file = (path: string): Piece => ({ name: `files${path}`, get: () => readFileSync(path, "utf8") });
  const docker = join(own.XDG_CONFIG_HOME || join(own.HOME ?? "/", ".config"), "docker", "daemon.json");
  const config = configPath(env);
  return [
    { name: "versions.txt", get: () => versions(own.PATH ?? "", variables) },
    { name: "check.json", get: self("check", "--json") },
    { name: "plan.json", get: self("plan", "--json", "--", "dockerd") },
    { name: "idmap.txt", get: self("idmap") },
    { name: "config.json", get: self("config", "show", "--json") },
    { name: "status.json", get: asked("/v1/rlkit/status") },
    { name: "info.json", get: asked("/v1/info") },
    { name: "ports.json", get: asked("/v1/ports") },
    { name: "tree.json", get: self("tree", "--json") },
    { name: "log.txt", get: self("logs", "--lines=500") },
    { name: "environment.txt", get: () => redactEnvironment(own) },
    { name: "sysctls.txt", get: () => sysctls.map(sysctl).join("") },
    ...["status", "limits", "cgroup", "mountinfo"].map((name) => file(`/proc/self/${name}`)),
    ...["/etc/os-release", "/etc/resolv.conf", docker, ...(config === undefined ? [] : [config])].map(file),
  ];
}

/** What a program writes; throws, with that, when it fails. */
function output(path: string, args: readonly string[], env: readonly string[]): string {
  const { status, output: text } = capture(path, args, env, DEADLINE);
  // check's status 1 says that something is wrong, which is what a report is for.
  if (status > 1) throw new Error(`${[path, ...args].join(" ")}: status ${status}: ${text.trim()}`);
  return text;
}

function versions(path: string, env: readonly string[]): string {
  const own = [`rlkit ${__VERSION__}\n`, `Node ${process.version}\n`, readFileSync("/proc/version", "utf8")];
  const others = programs.map((name) => {
    const program = findProgram(name, `${path}:/usr/sbin:/sbin`);
    if (program === undefined) return `${name}: not on PATH\n`;
    const flag = name === "newuidmap" ? [] : ["--version"];
    return `${program}: ${name === "newuidmap" ? "there\n" : `${capture(program, flag, env, DEADLINE).output.trim()}\n`}`;
  });
  return [...own, ...others].join("");
}

function sysctl(name: string): string {
  try {
    return `${name.replaceAll("/", ".")} = ${readFileSync(`/proc/sys/${name}`, "utf8").trim()}\n`;
  } catch {
    return `${name.replaceAll("/", ".")}: this kernel does not have it\n`;
  }
}
