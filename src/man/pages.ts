import type { Command } from "../cli/command.ts";
import { flags, takesValue } from "../cli/flags.ts";
import type { Option } from "../cli/options.ts";
import { type Block, parseMarkdown } from "../help/markdown.ts";
import type { Topic } from "../help/topics.ts";
import { bold, entry, escapeRoff, italic, request, section, toRoff } from "./roff.ts";

/** What the pages are made from. */
export interface Manual {
  version: string;
  commands: readonly Command[];
  groups: Readonly<Record<string, string>>;
  topics: readonly (Topic & { text: string })[];
  /** README.md, for what it says about rlkit as a whole. */
  readme: string;
}

/** A man page: its name in `man1` or `man7`, and its text. */
interface Page {
  name: string;
  section: 1 | 7;
  text: string;
}

/** All pages: one for rlkit, for each command, each group of commands and each topic. */
export function manPages(manual: Manual): Page[] {
  const page = (name: string, number: 1 | 7, lines: readonly string[]): Page => ({
    name,
    section: number,
    text: `${[header(name, number, manual.version), ...withoutGaps(lines)].join("\n")}\n`,
  });
  return [
    page("rlkit", 1, overview(manual)),
    ...Object.keys(manual.groups).map((group) => page(pageOf(group), 1, groupPage(group, manual))),
    ...manual.commands.map((command) => page(pageOf(command.name), 1, commandPage(command, manual))),
    ...manual.topics.map((topic) => page(pageOf(topic.name), 7, topicPage(topic))),
  ];
}

/** A paragraph begins with its section by itself. */
const withoutGaps = (lines: readonly string[]): string[] =>
  lines.filter((line, i) => line !== ".PP" || !/^\.S[HS] /.test(lines[i - 1] ?? ""));

const pageOf = (name: string): string => `rlkit-${name.replace(" ", "-")}`;

// Without a date: the same source makes the same pages.
const header = (name: string, number: number, version: string): string =>
  `.TH "${escapeRoff(name.toUpperCase())}" "${number}" "" "rlkit ${escapeRoff(version)}" "rlkit"`;

const named = (page: string, about: string): string[] => [
  section("Name"),
  `${escapeRoff(page)} \\- ${escapeRoff(about)}`,
];

const reference = (page: string, number: number): string => `${bold(page)}(${number})`;

const seeAlso = (references: readonly string[]): string[] => [section("See also"), references.join(",\n")];

/** Every command with its page, or those of a group. */
const listed = (commands: readonly Command[]): string[] =>
  commands.flatMap(({ name, describe }) => entry(reference(pageOf(name), 1), `${escapeRoff(describe)}.`));

function overview({ commands, topics, readme }: Manual): string[] {
  const blocks = parseMarkdown(readme);
  const about = sectionOf(blocks, "rlkit").find(({ kind }) => kind === "paragraph");
  return [
    ...named("rlkit", "start dockerd, or any command, in namespaces of its own"),
    section("Synopsis"),
    `${bold("rlkit")} ${italic("COMMAND")} [${italic("OPTION")}...]`,
    section("Description"),
    ...toRoff(about === undefined ? [] : [about]),
    section("Commands"),
    ...listed(commands),
    section("Topics"),
    ...topics.flatMap(({ name, describe }) => entry(reference(pageOf(name), 7), `${escapeRoff(describe)}.`)),
    ...["Exit status", "Files", "Environment"].flatMap((title) => [section(title), ...toRoff(tablesOf(blocks, title))]),
    ...seeAlso([
      ...[reference("dockerd", 8), reference("newuidmap", 1), reference("pasta", 1), reference("slirp4netns", 1)],
      ...[reference("subgid", 5), reference("subuid", 5), reference("user_namespaces", 7)],
    ]),
  ];
}

/** What stands below a heading of the README's, up to the next one. Throws if there is none such. */
function sectionOf(blocks: readonly Block[], title: string): Block[] {
  const start = blocks.findIndex((block) => block.kind === "heading" && block.text === title);
  if (start < 0) throw new Error(`README.md has no section ${title}, which rlkit(1) is made from`);
  const end = blocks.findIndex(({ kind }, i) => i > start && kind === "heading");
  return blocks.slice(start + 1, end < 0 ? undefined : end);
}

const tablesOf = (blocks: readonly Block[], title: string): Block[] =>
  sectionOf(blocks, title).filter(({ kind }) => kind === "table");

function groupPage(group: string, { commands, groups, topics }: Manual): string[] {
  const own = commands.filter(({ name }) => name.startsWith(`${group} `));
  const about = groups[group] ?? "";
  return [
    ...named(pageOf(group), about),
    section("Synopsis"),
    `${bold(`rlkit ${group}`)} ${italic("COMMAND")} [${italic("OPTION")}...]`,
    section("Description"),
    `${escapeRoff(about)}.`,
    section("Commands"),
    ...listed(own),
    ...seeAlso([reference("rlkit", 1), ...topicsOf(topics, ({ name }) => name === group)]),
  ];
}

const topicsOf = (topics: readonly Topic[], isOf: (topic: Topic) => boolean): string[] =>
  topics.filter(isOf).map(({ name }) => reference(pageOf(name), 7));

function commandPage(command: Command, { topics }: Manual): string[] {
  const { name, operands, describe } = command;
  return [
    ...named(pageOf(name), describe),
    section("Synopsis"),
    `${bold(`rlkit ${name}`)} [${italic("OPTION")}...]${operands && ` ${italic(operands)}`}`,
    section("Description"),
    `${escapeRoff(describe)}.`,
    section("Options"),
    ...optionLines(command),
    section("Exit status"),
    `See ${reference("rlkit", 1)}.`,
    ...seeAlso([reference("rlkit", 1), ...topicsOf(topics, ({ commands }) => commands.includes(name))]),
  ];
}

/** The options in their groups; those without one come first. */
function optionLines(command: Command): string[] {
  const groups = new Map<string | undefined, string[]>([[undefined, []]]);
  for (const { flag, short, option } of flags(command)) {
    const names = [...(short ? [short] : []), flag].map((word) => bold(word)).join(", ");
    const value = takesValue(option) ? `=${italic(placeholder(option))}` : "";
    groups.set(option.group, [...(groups.get(option.group) ?? []), ...entry(`${names}${value}`, aboutOption(option))]);
  }
  return [...groups].flatMap(([title, lines]) => [
    ...(title === undefined ? [] : [request("SS", escapeRoff(title.replace(":", "")))]),
    ...lines,
  ]);
}

function placeholder({ type, completes }: Option): string {
  if (completes === "file") return "FILE";
  if (completes === "directory") return "DIR";
  return type === "number" ? "N" : "VALUE";
}

function aboutOption({ describe, choices, default: value }: Option): string {
  const values = choices === undefined ? [] : [`One of ${choices.map((choice) => bold(choice)).join(", ")}.`];
  const usual = value === undefined ? [] : [`The default is ${bold(String(value))}.`];
  // `true: its own session` begins with a value, which is written so.
  const first = /^\w+:/.test(describe) ? describe.charAt(0) : describe.charAt(0).toUpperCase();
  return [escapeRoff(`${first}${describe.slice(1)}.`), ...values, ...usual].join("\n");
}

function topicPage({ name, describe, commands, text }: Manual["topics"][number]): string[] {
  const [, ...blocks] = parseMarkdown(text);
  return [
    ...named(pageOf(name), describe),
    section("Description"),
    ...toRoff(blocks),
    ...seeAlso([reference("rlkit", 1), ...commands.map((command) => reference(pageOf(command), 1))]),
  ];
}
