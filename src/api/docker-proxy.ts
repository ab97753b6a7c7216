import { isIP } from "node:net";
import { RlkitError } from "../errors.ts";
import type { UncheckedSpec } from "../ports/spec.ts";
import type { Info } from "./info.ts";

/** What dockerd asks of docker-proxy; undefined where it asks for something else (its version). */
export interface DockerProxyCall {
  proto: string;
  hostIp: string;
  hostPort: number;
  containerIp: string;
  containerPort: number;
}

/** docker-proxy's flags, by whether they need a value. */
const flags: Readonly<Record<string, "string" | "int" | "bool">> = {
  proto: "string",
  "host-ip": "string",
  "host-port": "int",
  "container-ip": "string",
  "container-port": "int",
  "use-listen-fd": "bool",
  v: "bool",
  version: "bool",
};

/**
 * Reads docker-proxy's command line (without argv[0]) as Go's flag package does: one dash or two, `-flag value` or
 * `-flag=value`. Throws an RlkitError in that package's words.
 */
export function parseDockerProxy(argv: readonly string[]): DockerProxyCall | undefined {
  const fail = (text: string): never => {
    throw new RlkitError("PORT", `docker-proxy: ${text}`);
  };
  const values = new Map<string, string>();
  for (let i = 0; i < argv.length; i += 1) {
    const word = argv[i] ?? "";
    if (word === "--" || !/^-./.test(word)) break; // the first word that is no flag ends them
    const [, name = "", value] = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(word) ?? fail(`bad flag syntax: ${word}`);
    const type = Object.hasOwn(flags, name) ? flags[name] : fail(`flag provided but not defined: -${name}`);
    const given = value ?? (type === "bool" ? "true" : argv[++i]) ?? fail(`flag needs an argument: -${name}`);
    if (type === "int" && !/^[-+]?\d+$/.test(given))
      fail(`invalid value ${JSON.stringify(given)} for flag -${name}: parse error`);
    values.set(name, given);
  }
  if (isTrue(values.get("v")) || isTrue(values.get("version"))) return undefined;
  return {
    proto: values.get("proto") ?? "tcp",
    hostIp: values.get("host-ip") ?? "",
    hostPort: Number(values.get("host-port") ?? -1),
    containerIp: values.get("container-ip") ?? "",
    containerPort: Number(values.get("container-port") ?? -1),
  };
}

const isTrue = (value: string | undefined): boolean => value !== undefined && /^(1|t|true)$/i.test(value);

/** What `rlkit-ns docker-proxy` is to do, and what is published for it. */
export type DockerProxyDecision =
  | { do: "plain" }
  | { do: "skip"; why: string }
  | { do: "forward"; spec: UncheckedSpec; childIp: string };

/**
 * Decides as rootlesskit-docker-proxy does: dockerd's docker-proxy listens inside, on loopback, and the same port of the host is
 * published. But it leads to the container itself where the driver can reach it: the container then sees its clients' addresses,
 * and the bytes take one way less.
 */
export function decideDockerProxy(call: DockerProxyCall | undefined, info: Info): DockerProxyDecision {
  const { networkDriver, portDriver } = info;
  if (call === undefined || portDriver === undefined) return { do: "plain" };
  const { proto, hostIp, hostPort } = call;
  const family = isIP(hostIp);
  const withFamily = family === 0 || /[46]$/.test(proto) ? proto : `${proto}${family}`;
  if (!portDriver.protos.includes(withFamily)) {
    return { do: "skip", why: `the port driver ${portDriver.driver} does not forward ${withFamily}` };
  }
  let childIp: string | undefined = withFamily.endsWith("6") ? "::1" : "127.0.0.1";
  // As dockerd 29.6 does by itself: 127.0.0.2:80 and 127.0.0.3:80 may both be published.
  if (family === 4 && hostIp.startsWith("127.")) childIp = hostIp;
  if (portDriver.disallowLoopbackChildIP) childIp = networkDriver?.childIP;
  if (childIp === undefined) {
    const text = `RootlessKit port driver ("${portDriver.driver}") does not allow loopback child IP, but network driver has no other`;
    throw new RlkitError("PORT", text);
  }
  // 0 would be a port that nobody knows of.
  if (hostPort === 0) throw new RlkitError("PORT", "invalid ParentPort: 0");
  const parent = hostIp === "" ? {} : { parentIP: hostIp };
  const { containerIp, containerPort } = call;
  const direct = !portDriver.disallowLoopbackChildIP && isIP(containerIp) > 0 && containerPort > 0;
  const child = direct ? { childPort: containerPort, childIP: containerIp } : { childPort: hostPort, childIP: childIp };
  const spec = { proto: withFamily, ...parent, parentPort: hostPort, ...child };
  return { do: "forward", spec, childIp };
}
