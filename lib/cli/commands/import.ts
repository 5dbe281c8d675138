/** `import`: the configuration of another program as one of ours. */

import { resolve } from "@std/path";
import { Exit } from "../../core/failure.ts";
import type { Kind, Note } from "../../config/import/mod.ts";
import { IMPORT_KINDS } from "../../config/import/recognise.ts";
import type { Command } from "../command.ts";
import { SCHEMA_LINE } from "../config_text.ts";
import { ourselves } from "../ourselves.ts";
import { count } from "../render/amount.ts";
import { harmless } from "../render/paint.ts";
import { EVALUATE } from "./evaluate.ts";

export const import_: Command = {
  name: "import",
  about: "print the configuration of another program as one of ours",
  arguments: [{ name: "FILE", about: "the file; what it is follows from its name and content" }],
  options: [
    {
      name: "from",
      kind: "text",
      value: "KIND",
      about: "what it is",
      values: IMPORT_KINDS,
    },
  ],
  exits: { [Exit.config]: "the file cannot be read as what it is" },
  examples: [
    "supervisor import ecosystem.config.js > supervisor.yaml",
    "supervisor import --from supervisord /etc/supervisor/supervisord.conf",
  ],
  async run({ values, arguments: [name], out, cwd, env, clock }) {
    const { importFile } = await import("../../config/import/mod.ts");
    const { sections } = await import("../../../plugins/registry.ts");
    const { kind, text, notes } = await importFile({
      file: resolve(cwd, name),
      kind: values.text("from") as Kind | undefined,
      sections: sections(),
      evaluator: { argv: [...ourselves(), EVALUATE], env, clock },
      head: [SCHEMA_LINE],
    });
    const lines = notes.map(said);
    await out.talk(lines.map((line) => `${line}\n`).join(""));
    await out.talk(`${count(notes.length, "note", "notes")} about what is different\n`);
    await out.result({ status: "success", kind, config: text, notes: lines }, () => text);
    return Exit.done;
  },
};

function said({ at, from, text }: Note): string {
  const where = at.length === 0 ? "" : `${at.join(".")}: `;
  return harmless(`${where}${from === undefined ? "" : `${from}: `}${text}`);
}
