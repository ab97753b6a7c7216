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

const exactNames = new Map(Object.values(fields));

const isField = ([name, value]: [string, unknown]): boolean => {
  const type = exactNames.get(name as keyof UncheckedSpec);
  return type === "int" ? Number.isSafeInteger(value) : type === "string" && typeof value === "string";
};

const isSpec = (value: unknown): value is Partial<UncheckedSpec> =>
  typeof value === "object" && value !== null && !Array.isArray(value) && Object.entries(value).every(isField);

/**
 * What both Go and JavaScript take for the same: a text that JavaScript itself would write so, with nothing but the fields by their
 * exact names. A thousand ports take a tenth of the time. Undefined for any other text.
 */
function decodePlain(body: Buffer): UncheckedSpec | UncheckedSpec[] | undefined {
  const text = body.toString("utf8");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const items = Array.isArray(value) ? value : [value];
  if (!items.every(isSpec) || JSON.stringify(value) !== text) return undefined;
  const specs = items.map((spec) => ({ proto: "", parentPort: 0, childPort: 0, ...spec }));
  return Array.isArray(value) ? specs : specs[0];
}

/**
 * The spec in a request's body, or the set of specs if the body is an array. They are as they were sent: nothing is checked but
 * types. Throws an RlkitError in the words of Go's encoding/json.
 */
export function decodeSpecs(body: Buffer): UncheckedSpec | UncheckedSpec[] {
  const plain = decodePlain(body);
  if (plain !== undefined) return plain;
  const json = parseGoJson(body);
  return json.kind === "array" ? json.items.map(decodeSpec) : decodeSpec(json);
}
