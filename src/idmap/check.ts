import { checkRanges, type RangeFacts } from "./check-ranges.ts";
import { shellWord, type Verdict } from "./verdict.ts";

/** newuidmap or newgidmap as found on PATH. */
export interface ToolFacts {
  path: string;
  /** The uid of its owner, as seen here: 65534 if this user namespace does not map the real one. */
  owner: number;
  setuid: boolean;
  /** Whether it has the file capability; undefined if that could not be asked, or need not be with the setuid bit there. */
  capability: boolean | undefined;
  /** The mount point it is under, if that is mounted nosuid. */
  nosuidMount: string | undefined;
}

/** What decides whether this user can get id maps, gathered by host/idmap-facts.ts. */
export interface IdMapFacts extends RangeFacts {
  /** The gid of this process. */
  gid: number;
  /** See prctl(2), PR_SET_NO_NEW_PRIVS. */
  noNewPrivs: boolean;
  /** The PATH that was searched. */
  path: string;
  newuidmap: ToolFacts | undefined;
  newgidmap: ToolFacts | undefined;
}

/** All that stands in the way, one verdict for each cause, the most fundamental first. Empty if the maps can be written. */
export function checkIdMaps(facts: IdMapFacts): Verdict[] {
  return [...checkWithoutRanges(facts), ...checkRanges(facts)];
}

/** The same without what depends on the delegated ids: for a map that may not need any. */
export function checkWithoutRanges(facts: IdMapFacts): Verdict[] {
  return [...checkPrivileges(facts), ...checkTools(facts), ...checkUser(facts)];
}

/** Whether setuid programs get their privileges from this process. */
export function checkPrivileges({ noNewPrivs, user }: IdMapFacts): Verdict[] {
  // Root has what newuidmap needs from the start.
  if (!noNewPrivs || user.uid === 0) return [];
  return [
    {
      severity: "error",
      code: "NO_NEW_PRIVS",
      text: "no_new_privs is set on this process, so newuidmap (like sudo and every other setuid program) gets no privileges here and cannot write id maps",
      by: "outside",
      fix: "start rlkit without it: no NoNewPrivileges= in the systemd unit, no `docker run --security-opt no-new-privileges`, no `setpriv --no-new-privs`",
    },
  ];
}

/** newuidmap and newgidmap: there, and with privileges. */
export function checkTools({ newuidmap, newgidmap, path, user }: IdMapFacts): Verdict[] {
  const missing = [newuidmap ? [] : "newuidmap", newgidmap ? [] : "newgidmap"].flat();
  const verdicts: Verdict[] = [];
  if (missing.length > 0) {
    verdicts.push({
      severity: "error",
      code: "IDMAP_TOOL",
      text: `${missing.join(" and ")} not found on PATH (${path}); only a program with privileges can map delegated ids`,
      by: "root",
      fix: "Debian, Ubuntu: sudo apt-get install uidmap; Fedora, RHEL: sudo dnf install shadow-utils",
    });
  }
  if (user.uid === 0) return verdicts;
  if (newuidmap) verdicts.push(...checkTool(newuidmap, "cap_setuid"));
  if (newgidmap) verdicts.push(...checkTool(newgidmap, "cap_setgid"));
  return verdicts;
}

function checkTool(tool: ToolFacts, capability: string): Verdict[] {
  const { path } = tool;
  const file = shellWord(path);
  const [code, by] = ["IDMAP_TOOL", "root"] as const;
  const mount = tool.nosuidMount;
  if (mount !== undefined) {
    const text = `${path} is under ${mount}, which is mounted nosuid: its setuid bit and file capabilities do not count`;
    return [{ severity: "error", code, text, by, fix: `sudo mount -o remount,suid ${shellWord(mount)}` }];
  }
  if (tool.setuid && tool.owner !== 0) {
    const text = `${path} is setuid, but to uid ${tool.owner} and not to root`;
    // chown clears the setuid bit.
    return [{ severity: "error", code, text, by, fix: `sudo chown root ${file} && sudo chmod u+s ${file}` }];
  }
  if (tool.setuid || tool.capability) return [];
  const fix = `sudo chmod u+s ${file}`;
  if (tool.capability === false) {
    const text = `${path} has neither the setuid bit nor the file capability ${capability}, so it cannot write id maps`;
    return [{ severity: "error", code, text, by, fix }];
  }
  const text = `${path} has no setuid bit, and without getcap it is unknown whether it has the file capability ${capability}`;
  return [{ severity: "warning", code, text, by, fix }];
}

/** What newuidmap wants to know of the user who calls it. */
export function checkUser({ user, gid }: IdMapFacts): Verdict[] {
  const code = "IDMAP_TOOL";
  if (user.name === undefined) {
    const text = `uid ${user.uid} has no passwd entry, and newuidmap works for nobody whose name it cannot find`;
    return [
      {
        severity: "error",
        code,
        text,
        by: "root",
        fix: `sudo useradd --uid ${user.uid} --no-create-home u${user.uid}`,
      },
    ];
  }
  if (gid === user.gid) return [];
  // Only a warning: GRANT_AUX_GROUP_SUBIDS in login.defs(5) allows it.
  const text = `this process has group ${gid}, not ${user.name}'s primary group ${user.gid} (newgrp or sg?), which newuidmap refuses`;
  return [{ severity: "warning", code, text, by: "user", fix: `newgrp "$(id -gn ${user.uid})"` }];
}
