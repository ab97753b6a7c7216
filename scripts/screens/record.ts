import { RLKIT } from "../../test/hosts/host.ts";
import { SIZE } from "./screen.ts";

/** A shell command of a user in a login session. */
export type Session = (command: string, deadline?: number) => Promise<string>;

interface Recorded {
  /** As it is typed. */
  command: string;
  /** Its exit status (0). */
  status?: number;
  /** It is sent ^C's signal as soon as its output has a line like this (for grep). */
  until?: string;
  /** A shell command that goes on meanwhile. */
  meanwhile?: string;
}

/** The shell's prompt. */
const PROMPT = "\\033[1;32m$\\033[0m";
const quote = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;

/** What the user's terminal is sent by a command, from the prompt on. Throws when it ends otherwise. */
export function record(session: Session, { command, status = 0, until, meanwhile }: Recorded): Promise<string> {
  const { columns, rows } = SIZE;
  const typed = `stty cols ${columns} rows ${rows}; printf '${PROMPT} %s\\n' ${quote(command)}; exec ${command}`;
  const inTerminal = `script --quiet --flush --return --command ${quote(typed)} /dev/null`;
  return session(
    `export TERM=xterm-256color LANG=C.UTF-8 PATH=$HOME/bin:${RLKIT}/bin:$PATH
     ${meanwhile === undefined ? "" : `(${meanwhile}) >/dev/null 2>&1 & other=$!`}
     ${inTerminal} >~/.screen </dev/null & script=$!
     ${until === undefined ? "" : awaited(until)}
     wait $script; status=$?
     ${meanwhile === undefined ? "" : "kill $other"}
     cat ~/.screen
     rm ~/.screen
     [ $status = ${status} ] || { echo "status $status instead of ${status}" >&2; exit 1; }`,
    60_000,
  );
}

const awaited = (pattern: string): string =>
  `for _ in $(seq 300); do grep -q ${quote(pattern)} ~/.screen && seen=yes && break; sleep 0.1; done
   pkill -INT -P $script
   [ "$seen" ] || { cat ~/.screen >&2; exit 1; }`;
