import { readFileSync } from "node:fs";

/** The value of a sysctl(8) by its name; undefined where this kernel has none such. */
export type Sysctl = (name: string) => string | undefined;

/** Where a sysctl(8) is to be read. */
export const sysctlFile = (name: string): string => `/proc/sys/${name.replaceAll(".", "/")}`;

/** Those of this machine, as this process sees them. */
export const sysctl: Sysctl = (name) => {
  try {
    return readFileSync(sysctlFile(name), "utf8").trim();
  } catch {
    return undefined; // this kernel doesn't have it, which is no obstacle
  }
};

const FILE = "/etc/sysctl.d/60-rlkit.conf";

/** The commands, for root, that set a sysctl(8) now and at each start of the machine. */
export const persistSysctl = (name: string, value: string): string[] => [
  `echo ${name}=${value.includes(" ") ? `'${value}'` : value} >> ${FILE}`,
  `sysctl -p ${FILE}`,
];
