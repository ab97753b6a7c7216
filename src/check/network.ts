import { RlkitError } from "../errors.ts";
import { persistSysctl, sysctlFile } from "../host/sysctl.ts";
import { chooseNetwork, type NetworkFacts } from "../network/choose.ts";
import { install, parentFix } from "./causes.ts";
import type { Machine } from "./machine.ts";
import { asRoot, type Finding, type Fix, failure, inWords, ok, type Requirement, warning } from "./requirement.ts";

const makeTun = [
  "mkdir -p /dev/net",
  "[ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200",
  "chmod 0666 /dev/net/tun",
] as const;

/** There is the node, and no driver behind it. */
const NO_DRIVER = /\(E(NODEV|NXIO)\)/;

function tun({ network, container }: Machine): Finding {
  const tried = "opened /dev/net/tun for reading and writing";
  const { tunProblem } = network();
  if (tunProblem === undefined) return ok(tried, "network helpers get their interface from it");
  if (container !== undefined) return failure(tried, tunProblem, parentFix(container, "tun"));
  const load = NO_DRIVER.test(tunProblem) ? ["modprobe tun", "echo tun > /etc/modules-load.d/rlkit-tun.conf"] : [];
  return failure(tried, tunProblem, asRoot(...load, ...makeTun));
}

/** What can be said without a start: the network that a run would take, or why there is none. */
function choice(facts: NetworkFacts): RlkitError | undefined {
  try {
    chooseNetwork("auto", facts);
    return undefined;
  } catch (error) {
    if (error instanceof RlkitError) return error;
    throw error;
  }
}

async function helper(machine: Machine): Promise<Finding> {
  const tried = "started pasta or slirp4netns, and waited until it was ready";
  const facts = machine.network();
  const none = choice(facts);
  if (none !== undefined) {
    return failure(tried, none.message, helperFix(machine, facts));
  }
  const started = await machine.sandbox.startNetwork(facts);
  if (!("refused" in started)) return ok(tried, `${started.name} carries packets`);
  return failure(tried, `${started.name} does not start: ${started.refused}`, helperFix(machine, facts));
}

/** The helper that is not there; where both are, what is wrong with them is no matter of packages. */
function helperFix(machine: Machine, { pasta, slirp4netns }: NetworkFacts): Fix {
  if (pasta === undefined && slirp4netns === undefined) return install(machine, "network", "passt or slirp4netns");
  if (slirp4netns === undefined) return install(machine, "slirp4netns", "slirp4netns");
  return inWords("root", "see what it says: rlkit run --net=slirp4netns --log-level=debug -- true");
}

/** What dockerd will ask for first. */
const NAME = "registry-1.docker.io";

async function names({ sandbox }: Machine): Promise<Finding> {
  const tried = `asked the network's name server for ${NAME}`;
  const { inside, outside } = await sandbox.resolve(NAME);
  if (inside === undefined) return ok(tried, "it has an answer");
  if (outside !== undefined) {
    const found = `this machine itself does not find ${NAME} (${outside}): images can't be pulled by name`;
    return warning(
      tried,
      found,
      inWords("root", "check /etc/resolv.conf and the way to the Internet; a machine without is all right"),
    );
  }
  const found = `the machine finds ${NAME}, its name server through the network helper does not (${inside})`;
  const note =
    "a firewall, or a name server that answers the host's own addresses alone: name another one in daemon.json (dns)";
  return warning(tried, found, inWords("user", note));
}

/** Which of the two iptables it is (iptables(8)): the one over nftables, or the old one with modules of its own. */
const isLegacy = (version: string): boolean => version.includes("legacy");

async function firewall(machine: Machine): Promise<Finding> {
  const { sandbox, find, distribution } = machine;
  const tried = "made a chain by iptables, and a table of nftables, in the network namespace";
  const iptables = find("iptables");
  if (iptables === undefined) {
    const found = "iptables not found on PATH or in /usr/sbin; dockerd does not make a bridge without it";
    return failure(tried, found, install(machine, "iptables", "iptables"));
  }
  const { status, output } = await sandbox.execute([iptables, "--wait", "-t", "nat", "-N", "RLKIT-CHECK"]);
  const version = /v[\d.]+( \([^)]*\))?/.exec(machine.run([iptables, "--version"]).output)?.[0] ?? "";
  if (status === 0) return ok(tried, `iptables ${version}`.trim());
  const said = output.trim().split("\n").at(-1) || `exit status ${status}`;
  const found = `${iptables} ${version} does not work in a namespace: ${said}`;
  if (/xtables\.lock.*denied/i.test(output)) {
    const lines = ["semanage permissive -a iptables_t"];
    const package_ = install(machine, "semanage", "semanage").lines;
    return failure(tried, `SELinux keeps iptables from its lock: ${said}`, asRoot(...package_, ...lines));
  }
  const noNftables = await sandbox.nftables();
  if (isLegacy(version) && noNftables === undefined && distribution.manager === "apt-get") {
    const line = "update-alternatives --set iptables /usr/sbin/iptables-nft";
    return failure(tried, `${found}; the kernel has nftables`, asRoot(line));
  }
  if (!isLegacy(version) && noNftables === undefined) {
    return failure(tried, `${found}; the kernel's nftables answers`, install(machine, "iptables", "iptables"));
  }
  const module = isLegacy(version) ? "ip_tables" : "nf_tables";
  const lines = [`modprobe ${module}`, `echo ${module} > /etc/modules-load.d/rlkit-${module}.conf`];
  return failure(tried, found, asRoot(...lines));
}

const LOW_PORTS = "net.ipv4.ip_unprivileged_port_start";

function lowPorts({ read }: Machine): Finding {
  const first = Number(read(sysctlFile(LOW_PORTS)) ?? 1024);
  if (first <= 80) return ok(LOW_PORTS, `from ${first} on`);
  const want = {
    ...asRoot(...persistSysctl(LOW_PORTS, "80")),
    optional: true as const,
    note: "to publish ports from 80 on",
  };
  return ok(LOW_PORTS, `from ${first} on; docker run -p 80:80 is refused`, want);
}

const PING = "net.ipv4.ping_group_range";

/** The kernel's own default is "1 0": nobody. The helpers pass echo requests on through sockets that this rules. */
function ping({ read, user: { gid } }: Machine): Finding {
  const [first = 0, last = -1] = (read(sysctlFile(PING)) ?? "1 0").trim().split(/\s+/).map(Number);
  if (first <= gid && gid <= last) return ok(PING, "ping works from containers");
  const mend = {
    ...asRoot(...persistSysctl(PING, "0 2147483647")),
    optional: true as const,
    note: "for ping from containers",
  };
  return ok(PING, `group ${gid} is not among those that may ping: pings from containers get no answer`, mend);
}

/** How containers reach the network, and how they are reached. */
export const network: readonly Requirement[] = [
  { id: "tun", title: "/dev/net/tun", probe: tun },
  { id: "network-helper", title: "network helper", needs: ["tun", "id-map"], probe: helper },
  { id: "names", title: "name resolution", needs: ["network-helper"], probe: names },
  { id: "iptables", title: "iptables and nftables", needs: ["mounts"], probe: firewall },
  { id: "low-ports", title: "ports below 1024", probe: lowPorts },
  { id: "ping", title: "ping from containers", probe: ping },
];
