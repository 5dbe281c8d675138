/** `import`: the configuration of another program as one of ours. */

import { resolve } from "@std/path";
import { Exit } from "../../core/failure.ts";
import { IMPORT_KINDS, type Kind } from "../../config/import/recognise.ts";
import type { Command } from "../command.ts";
import { importFrom, noteLine, tellNotes } from "../import_from.ts";

export const import_: Command = {
  name: "import",
  about: "print the configuration of another program as one of ours",
  arguments: [{ name: "FILE", about: "the file; what it is follows from its name and content" }],
  options: [
    { name: "from", kind: "text", value: "KIND", about: "what it is", values: IMPORT_KINDS },
  ],
  exits: { [Exit.config]: "the file cannot be read as what it is" },
  examples: [
    "supervisor import ecosystem.config.js > supervisor.yaml",
    "supervisor import --from supervisord /etc/supervisor/supervisord.conf",
  ],
  async run(call) {
    const { values, out, cwd } = call;
    const kind = values.text("from") as Kind | undefined;
    const imported = await importFrom(call, resolve(cwd, call.arguments[0]), kind);
    await tellNotes(out, imported.notes);
    const { text } = imported;
    const notes = imported.notes.map(noteLine);
    await out.result({ status: "success", kind: imported.kind, config: text, notes }, () => text);
    return Exit.done;
  },
};
