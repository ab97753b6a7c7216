import { readdir, readFile, readlink } from "node:fs/promises";
import { expect, test } from "vitest";
import { exchange } from "./helpers/client.ts";
import { inside, portdOf } from "./helpers/ports.ts";
import { testUser } from "./helpers/user.ts";

// capabilities(7): what keeps clients' addresses needs these, below port 1024 too.
const NEEDED = ["CAP_NET_BIND_SERVICE", "CAP_NET_ADMIN", "CAP_NET_RAW"];
const NUMBERS = [10, 12, 13];

test(`portd has ${NEEDED.join(", ")}, a filter of system calls, its sockets, and nothing else`, async () => {
  await using user = await testUser();
  await using run = await inside(user, ["--net=none"]);
  const { port: childPort } = await run.listen("echo");
  const { spec } = await run.publish({ proto: "tcp", childPort });
  expect(await exchange({ port: spec.parentPort }, "x")).toBe("x");
  const portd = await portdOf(run);

  const status = await readFile(`/proc/${portd}/status`, "utf8");
  const field = (name: string) => new RegExp(`^${name}:\t(\\S+)$`, "m").exec(status)?.[1];
  const mask = NUMBERS.reduce((mask, number) => mask + 2 ** number, 0);
  for (const name of ["CapPrm", "CapEff", "CapBnd"]) expect(Number.parseInt(field(name) ?? "", 16), name).toBe(mask);
  for (const name of ["CapInh", "CapAmb"]) expect(Number.parseInt(field(name) ?? "", 16), name).toBe(0);
  expect(field("NoNewPrivs")).toBe("1");
  expect(field("Seccomp")).toBe("2"); // a filter
  expect((await readFile(`/proc/${portd}/environ`, "utf8")).length).toBe(0);

  const files = await readdir(`/proc/${portd}/fd`);
  const links = await Promise.all(files.map((fd) => readlink(`/proc/${portd}/fd/${fd}`)));
  const [input, output, , ...others] = links;
  expect([input, output]).toEqual(["/dev/null", "/dev/null"]);
  for (const link of others) expect(link).toMatch(/^(socket:|anon_inode:\[eventpoll\]$)/);
});
