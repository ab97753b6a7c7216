import { RlkitError } from "../errors.ts";

/** Proxies by the protocol of the address that is asked for, and the hosts that need none. */
export interface Proxies {
  http: string | undefined;
  https: string | undefined;
  none: string | undefined;
}

/**
 * The proxies that an environment names, in the variables that curl(1) reads; undefined where there are none. Throws a DOWNLOAD error for
 * one that speaks no HTTP.
 */
export function proxiesIn(env: Readonly<Record<string, string | undefined>>): Proxies | undefined {
  const http = proxyOf("http_proxy", env) ?? proxyOf("all_proxy", env);
  const https = proxyOf("https_proxy", env) ?? proxyOf("all_proxy", env);
  if (http === undefined && https === undefined) return undefined;
  return { http, https, none: variable("no_proxy", env)?.[1] };
}

/** A variable in small letters or in capitals, by the name under which it is there. */
function variable(name: string, env: Readonly<Record<string, string | undefined>>): [string, string] | undefined {
  for (const each of [name, name.toUpperCase()]) {
    const value = env[each]?.trim();
    if (value) return [each, value];
  }
  return undefined;
}

function proxyOf(name: string, env: Readonly<Record<string, string | undefined>>): string | undefined {
  const found = variable(name, env);
  if (found === undefined) return undefined;
  const [written, value] = found;
  const address = value.includes("://") ? value : `http://${value}`;
  if (URL.canParse(address) && /^https?:$/.test(new URL(address).protocol)) return address;
  throw new RlkitError("DOWNLOAD", `${written}=${withoutPassword(value)} is no proxy that can be used here`, {
    hint: "write it as http://HOST:PORT; by way of another (SOCKS, say) get the files with curl, and name them with --from",
  });
}

/** An address as it may be shown. */
export const withoutPassword = (address: string): string => address.replace(/(^|\/\/)[^/@]*@/, "$1…@");
