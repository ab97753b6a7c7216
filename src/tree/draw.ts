import { humanBytes } from "../human-bytes.ts";
import type { InnerMount, ProcessNode } from "./tree.ts";

const WIDTH = 80;
/** More would be dockerd's, one for each container. */
const SHOWN = 40;

/** At most so many characters; the last one then says that there is more. */
const cut = (text: string, width: number): string => (text.length <= width ? text : `${text.slice(0, width - 1)}…`);

/** A line for a process, with memory at the right edge. */
function line(lead: string, { pid, name, namespaces, rss }: ProcessNode): string {
  const memory = rss === null ? "" : humanBytes(rss);
  const text = `${lead}${name} ${pid}${namespaces.length === 0 ? "" : `  [${namespaces.join(" ")}]`}`;
  const width = WIDTH - memory.length - 1;
  return `${cut(text, width).padEnd(width)} ${memory}`.trimEnd();
}

function branches(children: readonly ProcessNode[], lead: string): string[] {
  return children.flatMap((child, i) => {
    const isLast = i === children.length - 1;
    return [
      line(`${lead}${isLast ? "└─ " : "├─ "}`, child),
      ...branches(child.children, `${lead}${isLast ? "   " : "│  "}`),
    ];
  });
}

/** The tree and the mounts, in lines of at most 80 characters. */
export function drawTree(root: ProcessNode, mounts: readonly InnerMount[]): string {
  const width = Math.min(40, Math.max(0, ...mounts.map(({ target }) => target.length)));
  const listed = mounts.slice(0, SHOWN).map(({ target, type, root: from }) => {
    const text = `  ${cut(target, width).padEnd(width)}  ${type}${from === "/" ? "" : ` ${from}`}`;
    return cut(text, WIDTH);
  });
  const more = mounts.length > SHOWN ? [`  … and ${mounts.length - SHOWN} more (--json has all)`] : [];
  const about = "Namespaces in brackets are not those that rlkit was started in.";
  const below = mounts.length === 0 ? [] : ["", "Mounts that are inside and not outside:", ...listed, ...more];
  return [line("", root), ...branches(root.children, ""), "", about, ...below, ""].join("\n");
}
