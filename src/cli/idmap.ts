import { RlkitError } from "../errors.ts";
import { currentUser, gatherIdMapFacts, hostIo } from "../host/idmap-facts.ts";
import { checkRanges } from "../idmap/check-ranges.ts";
import { type IdMap, insideOuterMap, planIdMap, remapIdMap } from "../idmap/map.ts";
import type { IdKind, SubidIo, SubidSource } from "../idmap/source.ts";
import { findUser, type User } from "../idmap/user.ts";
import { toError } from "../idmap/verdict.ts";
import { targetEnvironment } from "../options/run-options.ts";
import { printed } from "../output.ts";
import type { Command } from "./command.ts";
import { idMapTable } from "./idmap-table.ts";
import type { OptionTable, Parsed } from "./options.ts";
import { noWords } from "./parse.ts";

const options: OptionTable = {
  user: { type: "string", describe: "name or uid of the user (the one who asks)" },
  remap: { type: "boolean", describe: "the maps of dockerd's userns-remap instead: delegated ids alone" },
  "subid-source": {
    type: "string",
    choices: ["auto", "dynamic", "static"],
    default: "auto",
    describe: "sub-ids from getsubids (dynamic) or /etc/subuid and /etc/subgid (static)",
  },
  json: { type: "boolean", describe: "print JSON" },
};

/** `rlkit idmap`: prints the id maps that a user gets. */
export const command: Command = {
  name: "idmap",
  operands: "",
  describe: "Print the uid and gid maps that a user gets",
  options,
  async run({ values, command: words }: Parsed): Promise<number> {
    noWords("idmap", words);
    const io = hostIo(targetEnvironment(process.env));
    const user = values.user === undefined ? currentUser() : lookUp(String(values.user), io);
    const facts = gatherIdMapFacts(values["subid-source"] as SubidSource, io, user);
    const obstacle = checkRanges(facts).find(({ severity }) => severity === "error");
    if (obstacle) throw toError(obstacle);
    const mapOf = (kind: IdKind, ownId: number): IdMap => {
      const { delegated, outer } = facts.ids[kind];
      if (values.remap === true) return remapIdMap(delegated.ranges);
      return planIdMap(ownId, insideOuterMap(delegated.ranges, outer));
    };
    const maps = { uid: mapOf("uid", user.uid), gid: mapOf("gid", user.gid) };
    const from = { uid: facts.ids.uid.delegated.from, gid: facts.ids.gid.delegated.from };
    return printed(
      values.json === true
        ? `${JSON.stringify({ user: user.name ?? null, uid: user.uid, gid: user.gid, maps, from }, null, 2)}\n`
        : `${idMapTable("uid", user, maps.uid, from.uid)}\n${idMapTable("gid", user, maps.gid, from.gid)}`,
    );
  },
};

function lookUp(nameOrUid: string, io: SubidIo): User {
  const user = findUser(nameOrUid, io);
  if (user) return user;
  throw new RlkitError("USAGE", `--user ${JSON.stringify(nameOrUid)}: there is no user of that name or uid`);
}
