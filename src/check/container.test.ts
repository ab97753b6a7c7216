import { expect, test } from "vitest";
import { containerKind } from "./container.ts";

const root = (fields: string) => `22 1 ${fields}\n23 22 0:5 / /proc rw - proc proc rw\n`;
const overlay = root("0:40 / / rw,relatime - overlay overlay rw");
const disk = root("254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw");
const part = root("254:0 /var/lib/docker/vfs/dir/1 / rw,relatime - ext4 /dev/vda rw");

test.each<[string, string | undefined, Record<string, string>, Record<string, string>]>([
  ["a machine", undefined, {}, { "/proc/self/mountinfo": disk }],
  ["Docker's", "docker", {}, { "/.dockerenv": "", "/proc/self/mountinfo": overlay }],
  ["Docker's with vfs", "docker", {}, { "/.dockerenv": "", "/proc/self/mountinfo": part }],
  ["a machine made from Docker's image", undefined, {}, { "/.dockerenv": "", "/proc/self/mountinfo": disk }],
  ["Podman's", "podman", {}, { "/run/.containerenv": "", "/proc/self/mountinfo": overlay }],
  ["LXC's", "lxc", { container: "lxc" }, {}],
  ["systemd-nspawn's", "systemd-nspawn", {}, { "/run/systemd/container": "systemd-nspawn\n" }],
  ["a pod's", "kubernetes", { KUBERNETES_SERVICE_HOST: "10.0.0.1" }, { "/.dockerenv": "" }],
])("%s", (_, kind, env, files) => {
  expect(containerKind({ env, read: (path) => files[path] })).toBe(kind);
});
