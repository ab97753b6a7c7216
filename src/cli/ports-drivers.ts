import type { Info } from "../api/info.ts";
import { RlkitError } from "../errors.ts";
import { printed } from "../output.ts";
import { type Capabilities, capabilities } from "../ports/capabilities.ts";
import type { Command } from "./command.ts";
import { apiOf } from "./instance.ts";
import type { Parsed } from "./options.ts";
import { noWords } from "./parse.ts";
import { instanceOption, jsonOption } from "./ports-options.ts";
import { printTable } from "./table.ts";

/** The driver of the instance; undefined when none runs. One that is named has to. */
async function driverInUse({ values }: Parsed): Promise<string | undefined> {
  try {
    // The API leaves out what takes no ports: none, and implicit.
    const { portDriver } = await apiOf({ values }).ask<Info>("GET", "/v1/info");
    return portDriver?.driver;
  } catch (error) {
    const isNamed = values["state-dir"] !== undefined || values.instance !== undefined;
    if (!isNamed && error instanceof RlkitError && error.code === "INSTANCE") return undefined;
    throw error;
  }
}

const yes = (is: boolean): string => (is ? "yes" : "-");

function row(name: string, driver: Capabilities, inUse: boolean): string[] {
  const all = [...driver.protos, ...driver.withIpv6];
  const ipv6 = driver.protos.includes("tcp6") ? "yes" : driver.withIpv6.length > 0 ? "--ipv6" : "-";
  return [
    inUse ? `${name} *` : name,
    driver.networks.join(","),
    ipv6,
    yes(all.includes("udp")),
    driver.keepsClientAddress.join(",") || "-",
    yes(driver.whileRunning),
    driver.purpose,
  ];
}

async function run(parsed: Parsed): Promise<number> {
  const { values, command: words } = parsed;
  noWords("ports drivers", words);
  const used = await driverInUse(parsed);
  const drivers = Object.entries(capabilities);
  if (values.json === true) {
    const list = drivers.map(([name, driver]) => ({ name, inUse: name === used, ...driver }));
    return printed(`${JSON.stringify(list, null, 2)}\n`);
  }
  const heads = ["DRIVER", "NETWORKS", "IPV6", "UDP", "CLIENT ADDRESS", "WHILE RUNNING", ""];
  const table = await printTable(
    heads.map((head) => ({ head })),
    drivers.map(([name, driver]) => row(name, driver, name === used)),
  );
  return printed(used === undefined ? table : `${table}\n* of the running instance\n`);
}

/** `rlkit ports drivers`: what each can do, and which one a running instance uses. */
export const command: Command = {
  name: "ports drivers",
  operands: "",
  describe: "What each port driver can do, and which one is in use",
  options: { ...instanceOption, ...jsonOption },
  optionsAnywhere: true,
  run,
};
