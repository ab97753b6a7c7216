import type { AccountIo } from "./identity.ts";

const PASSWD = `root:x:0:0:root:/root:/bin/sh
alice:x:1001:1001::/home/alice:/bin/sh
bob:x:1002:100::/home/bob:/bin/sh
`;
const GROUP = "root:x:0:\nusers:x:100:\nalice:x:1001:\nbuilders:x:3000:alice\n";

/** A machine for unit tests, without getent(1): alice has a group of her name, bob has not. The texts are those of the sub-id files. */
export function madeUpAccounts(subuid: string | undefined, subgid = subuid): AccountIo {
  const files: Record<string, string | undefined> = {
    "/etc/passwd": PASSWD,
    "/etc/group": GROUP,
    "/etc/subuid": subuid,
    "/etc/subgid": subgid,
  };
  return {
    readFile(path) {
      const text = files[path];
      if (text === undefined) throw Object.assign(new Error(path), { code: "ENOENT" });
      return text;
    },
    run: () => ({ status: 127, stdout: "", stderr: "" }),
  };
}
