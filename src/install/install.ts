import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { ExitStatus, RlkitError } from "../errors.ts";
import { type Machine, thisMachine } from "../host/machine.ts";
import type { Version } from "./acquire.ts";
import { carryOut, checkObstacles, type Report } from "./carry-out.ts";
import { removeFile, removeTree } from "./disk.ts";
import { gatherFacts } from "./facts.ts";
import type { ServiceUser } from "./init-scripts.ts";
import { type Entry, isAbove, Journal, type Made, peekJournal, type Settings } from "./journal.ts";
import type { Layout } from "./layout.ts";
import { readLink } from "./look.ts";
import { type PlanOptions, planInstall } from "./plan.ts";
import { foresee, obtain, resolveSource, versionInUse } from "./programs.ts";
import type { Progress } from "./progress.ts";
import type { Source, SourceOptions } from "./source.ts";
import type { Plan } from "./step.ts";
import { undoAll } from "./undo.ts";

/** What `rlkit install` is asked for. */
export interface InstallRequest {
  source: SourceOptions;
  settings: Settings;
  force: boolean;
  /** Of an administrator's installation: whom it is for. */
  user: ServiceUser | undefined;
  layout: (bin: string | undefined) => Layout;
  env: Machine["env"];
  signal: AbortSignal;
}

/** What an installation has come to. */
export interface Installed {
  layout: Layout;
  source: Source;
  version: Version | undefined;
  /** The version was not there before. */
  isNew: boolean;
  plan: Plan;
  reports: readonly Report[];
}

/** What would be made; nothing is written. */
export async function foreseeInstall(
  request: InstallRequest,
): Promise<{ layout: Layout; source: Source; plan: Plan; entries: readonly Entry[] }> {
  const entries = peekJournal(request.layout(undefined).directory);
  const last = entries.findLast((entry) => "begin" in entry);
  const settings = settingsAfter(last?.settings, request.settings);
  const layout = request.layout(settings.bin);
  const { source } = await resolveSource(request.source, last?.begin, request.env, request.signal);
  const programs = await foresee({ source, layout, signal: request.signal });
  const facts = gatherFacts(thisMachine(request.env), settings.init ?? "none", request.user);
  const plan = planInstall(layout, facts, programs, planOptions(settings));
  if (!request.force) checkObstacles(plan.steps, { entries: [...entries] });
  return { layout, source, plan, entries };
}

/**
 * Installs. When it fails everything is as before, but for downloads that the next run goes on with; when it is killed, the next run
 * finishes it, and `rlkit uninstall` takes it back. Rejects with a sentence.
 */
export async function install(request: InstallRequest, progress: Progress): Promise<Installed> {
  const journal = await Journal.open(request.layout(undefined).directory);
  const machine = thisMachine(request.env, journal.lock);
  try {
    return await transact(request, journal, machine, progress);
  } catch (error) {
    const cause = request.signal.aborted ? interrupted(request.signal) : error;
    try {
      rollBack(journal, machine, request.layout(undefined));
    } catch (second) {
      throw halfBack(cause, second);
    }
    throw cause;
  } finally {
    journal.close();
  }
}

const planOptions = ({ socket, context, shellProfile, dockerdArgs, instances }: Settings): PlanOptions => ({
  socket: socket ?? false,
  context: context ?? true,
  shellProfile,
  dockerdArgs: dockerdArgs ?? [],
  instances: instances ?? [],
});

/** What is not said stays as it was; instances are added to those that there are. */
function settingsAfter(last: Settings = {}, said: Settings): Settings {
  const instances = [...new Set([...(last.instances ?? []), ...(said.instances ?? [])])];
  return { ...last, ...said, ...(instances.length > 0 && { instances }) };
}

async function transact(
  request: InstallRequest,
  journal: Journal,
  machine: Machine,
  progress: Progress,
): Promise<Installed> {
  const { signal } = request;
  const { last } = journal;
  const settings = settingsAfter(last?.settings, request.settings);
  const layout = request.layout(settings.bin);
  const resolved = await resolveSource(request.source, last?.begin, request.env, signal);
  journal.add({ begin: resolved.source, settings });
  if (resolved.source.kind === "archives") {
    for (const path of [layout.versions, layout.downloads]) journal.add({ made: "tree", path });
  }
  const before = versionInUse(layout);
  const { programs, version, isNew } = await obtain({ ...resolved, layout, machine, signal, progress });
  const facts = gatherFacts(machine, settings.init ?? "none", request.user);
  const plan = planInstall(layout, facts, programs, planOptions(settings));
  if (!request.force) checkObstacles(plan.steps, journal);
  const reports = carryOut(plan.steps, { journal, machine, signal, force: request.force });
  finish(journal, layout, plan, [before, version?.name]);
  return { layout, source: resolved.source, version, isNew, plan, reports };
}

/** Everything is made: what is no longer wanted goes, and the journal says that the run is complete. */
function finish(journal: Journal, layout: Layout, plan: Plan, versions: readonly (string | undefined)[]): void {
  const wanted = new Set(plan.steps.flatMap((step) => (step.do === "link" ? [step.path] : [])));
  const isStale = (entry: Entry): boolean =>
    "made" in entry && entry.made === "link" && isAbove(layout.current, entry.target) && !wanted.has(entry.path);
  for (const entry of journal.entries.filter(isStale)) {
    if ("made" in entry && entry.made === "link" && readLink(entry.path) === entry.target) removeFile(entry.path);
  }
  if (existsSync(layout.versions)) {
    for (const name of readdirSync(layout.versions)) {
      if (!versions.includes(name)) removeTree(join(layout.versions, name));
    }
  }
  removeTree(layout.downloads);
  const { last } = journal;
  const made = journal.entries.filter((entry) => "made" in entry && !isStale(entry));
  journal.rewrite([...made, ...(last === undefined ? [] : [last]), { end: true }]);
}

/** Takes back what was made since the last run that was complete. */
function rollBack(journal: Journal, machine: Machine, { downloads, directory }: Layout): void {
  const complete = journal.entries.findLastIndex((entry) => "end" in entry) + 1;
  const older = journal.entries.slice(0, complete);
  const isMade = (entry: Entry): entry is Made => "made" in entry;
  const paths = new Set(older.filter(isMade).flatMap((entry) => ("path" in entry ? [entry.path] : [])));
  const canResume = existsSync(downloads) && readdirSync(downloads).length > 0;
  const begun = journal.entries.slice(complete);
  // What holds the journal and the downloads stays with them; what an earlier run had made has been put back.
  const stays = (entry: Made): boolean =>
    "path" in entry &&
    (paths.has(entry.path) ||
      (entry.made === "directory" && isAbove(entry.path, directory)) ||
      (canResume && entry.path === downloads));
  undoAll(
    begun.filter(isMade).filter((entry) => !stays(entry)),
    machine,
  );
  const { last } = journal;
  const kept = [...older, ...begun.filter(isMade).filter(stays)];
  if (canResume && last !== undefined && complete === 0) journal.rewrite([...kept, last]);
  else if (complete > 0)
    journal.rewrite(older.concat(begun.filter(isMade).filter((entry) => "path" in entry && entry.path === downloads)));
  else {
    journal.rewrite(kept);
    journal.remove();
  }
}

/** Both sentences; what was made is still in the journal. */
function halfBack(first: unknown, second: unknown): unknown {
  if (!(first instanceof RlkitError) || !(second instanceof RlkitError)) return second;
  return new RlkitError(first.code, `${first.message}; and not all could be taken back: ${second.message}`, {
    hint: "run the same command again, or rlkit uninstall",
    cause: first,
  });
}

function interrupted(signal: AbortSignal): RlkitError {
  return new RlkitError("INTERRUPTED", "interrupted; everything is as it was before", {
    hint: "the same command goes on where this one ended",
    exitStatus: ExitStatus.signal + Number(signal.reason),
  });
}
