/**
 * `import`: another program's configuration as one of ours.
 *
 * | kind        | read as                                            |
 * | ----------- | -------------------------------------------------- |
 * | rollbridge  | the value of a JavaScript module                   |
 * | pm2         | the same, or JSON or YAML                          |
 * | procfile    | lines                                              |
 * | supervisord | INI with its included files                        |
 * | roadrunner  | stays as it is; only notes                         |
 *
 * Invariant: nothing is written, and nothing that does not carry over is left out in silence: what our own
 * validation would refuse (a template we do not have) stands in the result with a note.
 */

import { basename, dirname } from "@std/path";
import { Exit, Failure, messageOf } from "../../core/failure.ts";
import { applicationFrom } from "../names.ts";
import { readText } from "../file.ts";
import type { Sections } from "../read.ts";
import { Draught, type Note } from "./draft.ts";
import { evaluate, type Evaluator } from "./evaluate.ts";
import { notOf } from "./foreign.ts";
import { fromPm2 } from "./pm2.ts";
import { fromProcfile } from "./procfile.ts";
import { IMPORT_KINDS, isScript, type Kind, kindOfText, kindOfValue } from "./recognise.ts";
import { fromRoadrunner } from "./roadrunner.ts";
import { fromRollbridge } from "./rollbridge.ts";
import { fromSupervisord } from "./supervisord.ts";

export type { Note } from "./draft.ts";
export type { Kind } from "./recognise.ts";

/** What to import. */
export interface ImportRequest {
  /** Absolute. */
  file: string;
  /** Undefined: recognised. */
  kind: Kind | undefined;
  sections: Sections;
  evaluator: Evaluator;
  /** First lines of the new file, without `#`. */
  head: readonly string[];
}

/** What came of it. */
export interface Imported {
  kind: Kind;
  /** The new file. */
  text: string;
  notes: Note[];
}

/** @throws Failure (exit 3) */
export async function importFile(request: ImportRequest): Promise<Imported> {
  const { file, evaluator, sections } = request;
  const text = textOf(file);
  const draught = new Draught();
  const kind = await fill(request, text, draught);
  const { asComment, sentence, write } = await import("./write.ts");
  const head = [`From ${basename(file)} (${kind}).`, ...request.head];
  if (kind === "roadrunner") {
    const worth = await fromRoadrunner({ file, env: evaluator.env }, sections, draught);
    const notes = draught.notes.map((note) => `- ${sentence(note)}`.replace(/\s+/g, " "));
    const lines = [...head, worth, ...notes];
    return { kind, text: `${asComment(lines)}\n\n${text}`, notes: draught.notes };
  }
  draught.config.application ??= applicationFrom(basename(dirname(file)));
  return { kind, text: write(draught, head), notes: draught.notes };
}

/** Fills the draught. @returns what the file was */
async function fill({ file, kind, evaluator }: ImportRequest, text: string, draught: Draught) {
  if (isScript(file)) {
    if (kind !== undefined && kind !== "pm2" && kind !== "rollbridge") {
      throw notOf(file, kind, "it is JavaScript");
    }
    const value = await evaluate(file, evaluator);
    const found = kind ?? kindOfValue(value);
    if (found === undefined) throw unknown(file);
    if (found === "pm2") fromPm2(value, file, draught);
    else fromRollbridge(value, file, draught);
    return found;
  }
  const found = kind ?? kindOfText(file, text);
  if (found === undefined) throw unknown(file);
  if (found === "rollbridge") throw notOf(file, found, "it is no JavaScript (.js, .mjs, .cjs)");
  if (found === "procfile") fromProcfile(text, file, draught);
  if (found === "supervisord") fromSupervisord(text, file, draught);
  if (found === "pm2") fromPm2(await data(text, file), file, draught);
  return found;
}

function textOf(file: string): string {
  const read = readText(file);
  if ("source" in read) return read.source.text;
  const { message, fix } = read;
  throw new Failure(`cannot import "${file}": ${message}`, { exit: Exit.config, fix });
}

/** JSON is YAML too. */
async function data(text: string, file: string): Promise<unknown> {
  const { parse } = await import("../yaml_package.ts");
  try {
    return parse(text);
  } catch (error) {
    throw notOf(file, "a PM2 ecosystem file", messageOf(error).split("\n")[0]);
  }
}

function unknown(file: string): Failure {
  return new Failure(`cannot import "${file}": it is of no kind that is known`, {
    exit: Exit.config,
    fix: `name its kind: --from ${IMPORT_KINDS.join(", --from ")}`,
  });
}
