import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { instance } from "./helpers/instance.ts";
import { ROOT, rlkit, start } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";

let user: User;

beforeAll(async () => {
  user = await testUser();
});

afterAll(() => user?.[Symbol.asyncDispose]());

async function asRoot(...command: string[]): Promise<void> {
  await using run = start(ROOT, command);
  const { code, stderr } = await run.result();
  expect(code, stderr).toBe(0);
}

async function inside(options: readonly string[], script: string): Promise<string> {
  await using run = rlkit(user, ["run", ...options, "--", "bash", "-c", script]);
  const { code, stdout, stderr } = await run.result();
  expect(code, stderr).toBe(0);
  return stdout;
}

describe("the cloud's metadata service", () => {
  const route = "ip -j route get 169.254.169.254 || echo none; ip -6 route get fd00:ec2::254 || echo none";

  test("is reached as the host reaches it, unless it is to be blocked", async () => {
    expect(await inside(["--net=slirp4netns"], "ip -j route get 169.254.169.254")).toContain('"dev":"tap0"');
  });

  test.each([["--net=slirp4netns"], ["--net=pasta", "--ipv6"], ["--net=none"]])(
    "is out of reach: %s",
    async (...options) => {
      const said = await inside([...options, "--cloud-metadata=block"], `(${route}) 2>/dev/null`);
      expect(said).toBe("none\nnone\n");
    },
  );

  test("so it is in a detached network namespace", async () => {
    await using run = await instance(
      user,
      ["--net=slirp4netns", "--detach-netns", "--cloud-metadata=block"],
      "echo ready; read -r",
    );
    const enter = ["nsenter", `--net=${run.stateDir}/netns`, "ip", "route", "get", "169.254.169.254"];
    await using asked = rlkit(user, ["exec", `--state-dir=${run.stateDir}`, "--", ...enter]);
    expect(await asked.result()).toMatchObject({ code: 2, stderr: expect.stringContaining("No route to host") });
  });

  test("with the host's own network it can't be kept away", async () => {
    await using run = rlkit(user, ["run", "--net=host", "--cloud-metadata=block", "--", "true"]);
    expect(await run.result()).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("not possible with --net=host"),
    });
  });
});

describe("a host with a network of its own at 10.0.2.0/24", () => {
  const link = `rlt${process.pid}`;

  beforeAll(async () => {
    await asRoot("ip", "link", "add", link, "type", "veth", "peer", "name", `${link}p`);
    await asRoot("ip", "address", "add", "10.0.2.15/24", "dev", link);
    await asRoot("ip", "link", "set", link, "up");
  });

  afterAll(() => asRoot("ip", "link", "delete", link));

  test.each(["slirp4netns", "pasta"])("--net=%s: another one is used inside, and the log says so", async (net) => {
    await using run = rlkit(user, [
      "run",
      `--net=${net}`,
      "--",
      "bash",
      "-c",
      "ip -br -4 address show tap0; cat /etc/resolv.conf",
    ]);
    const { stdout, stderr } = await run.result();
    expect(stdout).toContain(" 10.200.102.100/24 ");
    expect(stdout).toContain("\nnameserver 10.200.102.3\n");
    expect(stderr).toContain("this host has a route to 10.0.2.0/24: inside, the network is 10.200.102.0/24");
  });

  test("unless the user has chosen it", async () => {
    const said = await inside(["--net=slirp4netns", "--cidr=10.0.2.0/24"], "ip -br -4 address show tap0");
    expect(said).toContain(" 10.0.2.100/24 ");
  });
});
