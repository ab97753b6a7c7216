/** A text of `rlkit help`, which is docs/topics/NAME.md and the man page rlkit-NAME(7). */
export interface Topic {
  name: string;
  describe: string;
  /** The commands that have to do with it. */
  commands: readonly string[];
}

const ports = ["ports list", "ports add", "ports remove", "ports drivers"];
const all = ["run", "plan"];

/** The topics, in the order of the help. */
export const topics: readonly Topic[] = [
  {
    name: "ports",
    describe: "Publishing ports: what each driver can do, ports below 1024",
    commands: [...all, ...ports],
  },
  { name: "network", describe: "What connects the namespaces, and what of the host is reached", commands: all },
  { name: "storage", describe: "Storage drivers, the data root, files of other ids", commands: [...all, "check"] },
  {
    name: "sub-ids",
    describe: "Subordinate ids: having them delegated, the maps",
    commands: [...all, "idmap", "check"],
  },
  { name: "systemd", describe: "A user service, lingering, no session after su", commands: ["run", "env", "check"] },
  { name: "cgroups", describe: "Limits of containers (-m, --cpus), delegation", commands: [...all, "check"] },
  {
    name: "restart",
    describe: "Restarts, upgrades and the end; containers that live on",
    commands: ["run", "status", "stop", "restart", "upgrade", "wait"],
  },
  { name: "rootlesskit", describe: "Moving from RootlessKit", commands: ["run", "link"] },
  {
    name: "troubleshooting",
    describe: "When something does not work",
    commands: ["run", "check", "plan", "status", "env"],
  },
];
