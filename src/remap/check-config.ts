import { dirname } from "node:path";
import type { Machine } from "../check/machine.ts";
import { asRoot, type Finding, type Fix, failure, inWords, ok, warning } from "../check/requirement.ts";
import { RlkitError } from "../errors.ts";
import { shellWord } from "../idmap/verdict.ts";
import { parseRemapSpec } from "./identity.ts";
import { type RemapSettings, type RemapTarget, remapSettings } from "./target.ts";

/** The commands that write daemon.json with that userns-remap, and with all else that it says. */
function setRemap({ file }: RemapTarget, { config }: RemapSettings, value: string, { status }: Machine): Fix {
  const text = JSON.stringify({ ...config, "userns-remap": value }, null, 2);
  const directory = dirname(file);
  const mkdir = status(directory) === undefined ? [`mkdir -p ${shellWord(directory)}`] : [];
  return asRoot(...mkdir, `printf '%s\\n' ${shellWord(text)} > ${shellWord(file)}`);
}

/** Whether daemon.json asks for the map that is checked. */
export function checkConfig(target: RemapTarget, machine: Machine): Finding {
  const { file, given } = target;
  const settings = remapSettings(target, machine);
  const { problem, configured } = settings;
  const tried = `read ${file}: userns-remap`;
  if (problem === "this user may not read it") {
    return (given === undefined ? failure : warning)(tried, `${file}: ${problem}`, inWords("user", "ask as root"));
  }
  if (problem !== undefined)
    return failure(tried, `${file}: ${problem}; dockerd does not start`, inWords("root", `correct ${file}`));
  if (given === undefined) {
    if (configured !== undefined) return checkValue(configured, tried, file);
    const found = `${file} sets no userns-remap: root in containers is root of this machine`;
    return failure(tried, found, { ...setRemap(target, settings, "default", machine), note: "for dockremap's map" });
  }
  if (configured === given) return ok(tried, `it is ${given}`);
  const found = `userns-remap in ${file} is ${configured ?? "not set"}: dockerd does not take the map of ${given} from it`;
  return warning(tried, found, setRemap(target, settings, given, machine));
}

function checkValue(value: string, tried: string, file: string): Finding {
  try {
    parseRemapSpec(value);
    return ok(tried, `it is ${value}`);
  } catch (error) {
    if (!(error instanceof RlkitError)) throw error;
    return failure(tried, `${file}: ${error.message}; dockerd does not start`, inWords("root", error.hint ?? ""));
  }
}
