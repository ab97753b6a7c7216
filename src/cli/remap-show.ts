import { RlkitError } from "../errors.ts";
import { hostIo } from "../host/idmap-facts.ts";
import { subidFile } from "../idmap/source.ts";
import { log } from "../log.ts";
import { targetEnvironment } from "../options/run-options.ts";
import { printed } from "../output.ts";
import { findRemapIdentity, parseRemapSpec } from "../remap/identity.ts";
import { idKinds, isMixed, remapMaps } from "../remap/maps.ts";
import type { Command } from "./command.ts";
import { idMapTable } from "./idmap-table.ts";
import { jsonOption } from "./ports-options.ts";

/** `rlkit remap show`: prints the maps of containers under a dockerd with userns-remap. */
export const command: Command = {
  name: "remap show",
  operands: "USER|default",
  describe: 'Print the uid and gid maps of containers under a dockerd with "userns-remap": "USER"',
  options: jsonOption,
  optionsAnywhere: true,
  async run({ values, command: [value, ...more] }): Promise<number> {
    if (value === undefined || more.length > 0) {
      throw new RlkitError("USAGE", "rlkit remap show takes one value of userns-remap", {
        hint: "rlkit remap show default; or user, user:group, uid, uid:gid",
      });
    }
    const io = hostIo(targetEnvironment(process.env));
    const { user, group } = findRemapIdentity(parseRemapSpec(value), io);
    const { maps, entries } = remapMaps(user, io);
    for (const kind of idKinds.filter((each) => isMixed(entries[each]))) {
      const lines = `${subidFile(kind)} has lines of ${user.name} and of ${user.uid}`;
      log.warn(`${lines}: dockerd 28 and later takes them all, as here; before, it takes those of ${user.uid} alone`);
    }
    const from = { uid: subidFile("uid"), gid: subidFile("gid") };
    return printed(
      values.json === true
        ? `${JSON.stringify({ user: user.name, uid: user.uid, gid: user.gid, group, maps, from }, null, 2)}\n`
        : idKinds.map((kind) => idMapTable(kind, user, maps[kind], from[kind])).join("\n"),
    );
  },
};
