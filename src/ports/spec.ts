import { RlkitError } from "../errors.ts";
import { parseAddress } from "./address.ts";
import { type PortSpec, type Proto, protos } from "./driver.ts";

/** A spec that nobody has checked yet: what a client posted, or what stood between the colons. */
export interface UncheckedSpec extends Omit<PortSpec, "proto" | "parentPort" | "childPort"> {
  proto: string;
  parentPort: number | string;
  childPort: number | string;
}

const GRAMMAR = "[parentIP]:parentPort[:childIP]:childPort/proto";
const EXAMPLES = "127.0.0.1:8080:80/tcp, :8080:80/udp, [::1]:8080:[::1]:80/tcp6";
const VALUES = `protocols: ${protos.join(", ")}; addresses: numeric, IPv4 or IPv6; ports: 1 to 65535, a parentPort of 0 for a free one`;

/** Text as part of a message: quoted, and no longer than somebody reads. */
function quoted(text: string | number): string {
  if (typeof text === "number") return String(text);
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}

function isPort(port: number | string, least: 0 | 1): boolean {
  return typeof port === "number" && Number.isInteger(port) && port >= least && port <= 65535;
}

/** What is wrong with a spec, in RootlessKit's words and order; undefined if nothing is. */
function problem({ proto, parentIP = "", parentPort, childIP = "", childPort }: UncheckedSpec): string | undefined {
  if (!(protos as readonly string[]).includes(proto)) return `unknown proto: ${quoted(proto)}`;
  if (parentIP !== "" && parseAddress(parentIP) === undefined) return `invalid ParentIP: ${quoted(parentIP)}`;
  const child = parseAddress(childIP);
  if (childIP !== "" && (child === undefined || child.zone !== undefined)) return `invalid ChildIP: ${quoted(childIP)}`;
  if (!isPort(parentPort, 0)) return `invalid ParentPort: ${quoted(parentPort)}`;
  if (!isPort(childPort, 1)) return `invalid ChildPort: ${quoted(childPort)}`;
  return undefined;
}

/**
 * The spec, if everything in it is possible by itself. RootlessKit's rules, but a parentPort of 0 is allowed: it asks for a free
 * one. Throws RlkitError("PORT").
 */
export function validatePortSpec(spec: UncheckedSpec): PortSpec {
  const text = problem(spec);
  if (text !== undefined) throw new RlkitError("PORT", text, { hint: VALUES });
  return spec as PortSpec;
}

/** A port as a number; what is none stays text. */
const port = (text: string): number | string => (/^[0-9]{1,9}$/.test(text) ? Number(text) : text);

const unbracketed = (text: string): string => /^\[(.+)\]$/.exec(text)?.[1] ?? text;

/**
 * Reads `[parentIP]:parentPort[:childIP]:childPort/proto`, with IPv6 addresses in brackets. Where there is a `defaultProto`,
 * "/proto" may be left out, and Docker's short form parentPort:childPort is understood. Throws RlkitError("USAGE").
 */
export function parsePortSpec(text: string, { defaultProto }: { defaultProto?: Proto } = {}): PortSpec {
  const refuse = (message: string, hint = `write ${GRAMMAR}, for example ${EXAMPLES}`): RlkitError =>
    new RlkitError("USAGE", message, { hint });

  const slash = text.lastIndexOf("/");
  const proto = slash < 0 ? defaultProto : text.slice(slash + 1);
  if (proto === undefined) throw refuse(`missing proto in PortSpec string: ${quoted(text)}`);

  // Split at the colons that are not within brackets.
  const parts = (slash < 0 ? text : text.slice(0, slash)).split(/:(?![^[]*\])/);
  if (parts.length === 2 && defaultProto !== undefined) parts.unshift("");
  const childPort = parts.pop();
  const [parentIP = "", parentPort, childIP = ""] = parts;
  if (parentPort === undefined || childPort === undefined || parts.length > 3) {
    const bare = text.includes("::") && !text.includes("[");
    const hint = bare ? `an IPv6 address needs brackets: ${GRAMMAR}, for example ${EXAMPLES}` : undefined;
    throw refuse(`unexpected PortSpec string: ${quoted(text)}`, hint);
  }

  const spec: UncheckedSpec = { proto, parentPort: port(parentPort), childPort: port(childPort) };
  if (parentIP !== "") spec.parentIP = unbracketed(parentIP);
  if (childIP !== "") spec.childIP = unbracketed(childIP);
  const wrong = problem(spec);
  if (wrong !== undefined) throw refuse(`invalid PortSpec string: ${quoted(text)}: ${wrong}`);
  return spec as PortSpec;
}

const bracketed = (address: string): string => (address.includes(":") ? `[${address}]` : address);

/** Where a spec listens: `tcp 127.0.0.1:80`, as Go's net package names it. */
export function listenName({ proto, parentIP = "", parentPort }: PortSpec): string {
  return `${proto} ${bracketed(parentIP)}:${parentPort}`;
}

/** The spec as `parsePortSpec` reads it. */
export function formatPortSpec({ proto, parentIP = "", parentPort, childIP = "", childPort }: PortSpec): string {
  const child = childIP === "" ? "" : `${bracketed(childIP)}:`;
  return `${bracketed(parentIP)}:${parentPort}:${child}${childPort}/${proto}`;
}
