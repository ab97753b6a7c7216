import { RlkitError } from "../errors.ts";
import type { UncheckedSpec } from "../ports/spec.ts";
import { type Json, parseGoJson } from "./go-json.ts";

/** The fields of Go's port.Spec, by their lower-case names: Go does not look at case. */
const fields: Readonly<Record<string, readonly [name: keyof UncheckedSpec, type: "string" | "int"]>> = {
  proto: ["proto", "string"],
  parentip: ["parentIP", "string"],
  parentport: ["parentPort", "int"],
  childport: ["childPort", "int"],
  childip: ["childIP", "string"],
};

const MAX_INT = 2n ** 63n;

/** What Go calls a value that does not fit; undefined if it does. */
function misfit(value: Json, type: "string" | "int"): string | undefined {
  if (type === "string") return value.kind === "string" ? undefined : value.kind;
  if (value.kind !== "number") return value.kind;
  if (!/^-?\d+$/.test(value.text)) return `number ${value.text}`;
  const int = BigInt(value.text);
  return int >= -MAX_INT && int < MAX_INT ? undefined : `number ${value.text}`;
}

/** Decodes one object as Go would: the last of two fields wins, null changes nothing, unknown fields are nobody's. */
function decodeSpec(json: Json): UncheckedSpec {
  if (json.kind !== "object" && json.kind !== "null") {
    throw new RlkitError("PORT", `json: cannot unmarshal ${json.kind} into Go value of type port.Spec`);
  }
  const spec: UncheckedSpec = { proto: "", parentPort: 0, childPort: 0 };
  let problem: string | undefined;
  for (const [name, value] of json.kind === "object" ? json.fields : []) {
    const field = Object.hasOwn(fields, name.toLowerCase()) ? fields[name.toLowerCase()] : undefined;
    if (field === undefined || value.kind === "null") continue;
    const [key, type] = field;
    const wrong = misfit(value, type);
    if (wrong !== undefined) {
      // Go decodes the rest, and then tells the first that did not fit.
      problem ??= `json: cannot unmarshal ${wrong} into Go struct field Spec.${key} of type ${type}`;
    } else if (value.kind === "string") Object.assign(spec, { [key]: value.value });
    else if (value.kind === "number") Object.assign(spec, { [key]: Number(BigInt(value.text)) });
  }
  if (problem !== undefined) throw new RlkitError("PORT", problem);
  return spec;
}

/**
 * The spec in a request's body, or the set of specs if the body is an array. They are as they were sent: nothing is checked but
 * types. Throws an RlkitError in the words of Go's encoding/json.
 */
export function decodeSpecs(body: Buffer): UncheckedSpec | UncheckedSpec[] {
  const json = parseGoJson(body);
  return json.kind === "array" ? json.items.map(decodeSpec) : decodeSpec(json);
}
