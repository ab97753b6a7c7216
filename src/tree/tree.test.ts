import { expect, test } from "vitest";
import { drawTree } from "./draw.ts";
import { innerMounts, type ProcessNode, parseMounts, processTree } from "./tree.ts";

const node = (name: string, pid: number, children: ProcessNode[] = [], namespaces: string[] = []): ProcessNode => ({
  pid,
  name,
  namespaces,
  rss: 1024 * 1024,
  children,
});

test("a tree is drawn with its branches, memory at the right edge, 80 columns at most", () => {
  const tree = node("rlkit", 1, [
    node("rlkit-ns init", 2, [node("dockerd", 3), node(`a-${"long".repeat(30)}`, 4)], ["user", "net"]),
    node("rlkit-ns guard", 5, [node("pasta", 6)]),
  ]);
  const mounts = [{ target: `/etc/${"x".repeat(90)}`, type: "tmpfs", root: "/" }];
  const lines = drawTree(tree, mounts).split("\n");
  expect(lines.map((line) => line.replace(/ +1\.0 MiB$/, "")).slice(0, 6)).toEqual([
    "rlkit 1",
    "├─ rlkit-ns init 2  [user net]",
    "│  ├─ dockerd 3",
    expect.stringMatching(/^│ {2}└─ a-(long)+.*…$/),
    "└─ rlkit-ns guard 5",
    "   └─ pasta 6",
  ]);
  expect(lines.filter((line) => line.length > 80)).toEqual([]);
  expect(lines[0]).toHaveLength(80);
});

test("of many mounts the first are drawn, and how many more there are", () => {
  const mounts = Array.from({ length: 100 }, (_, i) => ({ target: `/m${i}`, type: "overlay", root: "/" }));
  expect(drawTree(node("rlkit", 1), mounts)).toContain("  … and 60 more (--json has all)\n");
});

const MOUNTINFO = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:5 / /proc rw - proc proc rw
24 22 8:1 /home/a\\040b /mnt/x\\040y rw shared:1 master:2 - ext4 /dev/sda1 rw
`;

test("mountinfo is read, with what is escaped in it and with any number of tags", () => {
  expect(parseMounts(MOUNTINFO)).toEqual([
    { target: "/", type: "ext4", root: "/" },
    { target: "/proc", type: "proc", root: "/" },
    { target: "/mnt/x y", type: "ext4", root: "/home/a b" },
  ]);
});

test("what is inside and not outside, also when it is there once more", () => {
  const [root, proc, bind] = parseMounts(MOUNTINFO);
  if (root === undefined || proc === undefined || bind === undefined) throw new Error("not read");
  expect(innerMounts([root, proc, proc, bind], [root, proc])).toEqual([proc, bind]);
  expect(innerMounts([root], [root, proc])).toEqual([]);
});

test("this process is in no namespaces but its own", () => {
  const tree = processTree(process.pid);
  expect(tree).toMatchObject({ pid: process.pid, name: "rlkit", namespaces: [] });
  expect(tree.rss).toBeGreaterThan(1e6);
});
