import { RlkitError } from "../errors.ts";
import { type Cidr, ipv4 } from "../network/driver.ts";

const DEFAULT = "10.0.2.0/24";

/** Parses `--cidr`: an IPv4 network address with its prefix length, large enough for the address x.100. */
export function parseCidr(text: string | undefined): Cidr {
  const given = text ?? DEFAULT;
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(given)?.slice(1).map(Number);
  const [a = 256, b = 256, c = 256, d = 256, prefix = 33] = parts ?? [];
  const refuse = (why: string): never => {
    throw new RlkitError("USAGE", `--cidr=${given} ${why}`, { hint: `use a network address like ${DEFAULT}` });
  };
  if (Math.max(a, b, c, d) > 255 || prefix > 32) refuse("is not an IPv4 network");
  const address = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
  if (prefix > 25 || prefix < 1) refuse("must have a prefix length from 1 to 25: the namespace's address is its 100th");
  const base = (address & (-1 << (32 - prefix))) >>> 0;
  if (base !== address)
    refuse(`is an address in a network, not the network: cidr must be like ${ipv4(base)}/${prefix}`);
  return { base, prefix, custom: text !== undefined };
}
