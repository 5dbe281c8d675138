/**
 * What `import` and `init --from` have in common: another program's file, read by our own.
 *
 * Invariant: every note is told; JavaScript is evaluated by another process.
 */

import type { Imported, Kind, Note } from "../config/import/mod.ts";
import type { Call } from "./command.ts";
import { SCHEMA_LINE } from "./config_text.ts";
import { EVALUATE } from "./commands/evaluate.ts";
import { ourselves } from "./ourselves.ts";
import type { Output } from "./output.ts";
import { count } from "./render/amount.ts";
import { harmless } from "./render/paint.ts";

/** @param file absolute. @throws Failure */
export async function importFrom(
  { env, clock }: Call,
  file: string,
  kind: Kind | undefined,
): Promise<Imported> {
  const { importFile } = await import("../config/import/mod.ts");
  const { sections } = await import("../../plugins/registry.ts");
  return await importFile({
    file,
    kind,
    sections: sections(),
    evaluator: { argv: [...ourselves(), EVALUATE], env, clock },
    head: [SCHEMA_LINE],
  });
}

/** Notes as talk. */
export async function tellNotes(out: Output, notes: readonly Note[]): Promise<void> {
  for (const note of notes) await out.talk(`${noteLine(note)}\n`);
  await out.talk(`${count(notes.length, "note", "notes")} about what is different\n`);
}

/** One note in one line. */
export function noteLine({ at, from, text }: Note): string {
  const where = at.length === 0 ? "" : `${at.join(".")}: `;
  return harmless(`${where}${from === undefined ? "" : `${from}: `}${text}`);
}
