/** `schema`: the JSON Schema of the configuration. */

import { Exit } from "../../core/failure.ts";
import type { Command } from "../command.ts";

export const schema: Command = {
  name: "schema",
  about: "print a JSON Schema of the configuration, for editors",
  options: [],
  exits: {},
  examples: ["supervisor schema > supervisor.schema.json"],
  async run({ out }) {
    const { jsonSchema } = await import("../../config/mod.ts");
    const { sections } = await import("../../../plugins/registry.ts");
    const document = jsonSchema(sections());
    await out.result(document, () => `${JSON.stringify(document, null, 2)}\n`);
    return Exit.done;
  },
};
