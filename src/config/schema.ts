import type { Option, OptionTable } from "../cli/options.ts";
import { configurable } from "./config.ts";

/** What a value of an option is, in JSON Schema's words. */
function schemaOf({ type, describe, choices, default: usual }: Option): object {
  const kinds = {
    boolean: { type: "boolean" },
    number: { type: "integer", minimum: 0 },
    array: { type: "array", items: { type: "string", minLength: 1 } },
    string: { type: "string", minLength: 1, ...(choices && { enum: choices }) },
  };
  return { ...kinds[type], description: describe, ...(usual !== undefined && { default: usual }) };
}

/** The JSON Schema of config.json, from the table of the options of `run` (json-schema.org, draft 2020-12). */
export function configSchema(table: OptionTable): object {
  const options = Object.entries(configurable(table)).map(([name, option]) => [name, schemaOf(option)]);
  const properties = Object.fromEntries(options);
  const part = { type: "object", properties, additionalProperties: false };
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "rlkit's configuration: defaults for rlkit run",
    type: "object",
    properties: {
      ...properties,
      $schema: { type: "string" },
      instances: { description: "by --instance", type: "object", additionalProperties: part },
    },
    additionalProperties: false,
  };
}
