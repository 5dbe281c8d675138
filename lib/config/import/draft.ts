/**
 * What an importer makes: a configuration of ours as plain values, and notes about everything that
 * did not carry over.
 *
 * Invariant: a text of another program means the same in ours: a `$` that only the shell shall see is
 * written so that our own `${…}` does not take it.
 */

import { formatDuration } from "../../core/duration.ts";
import { placeholders } from "../../core/template.ts";
import { readProcessId, Refusal } from "../names.ts";

/** A value of the new file; undefined ones are left out. */
export type Value = undefined | string | number | boolean | Value[] | Draft;

/** A map of the new file. */
export interface Draft {
  [key: string]: Value;
}

/** Something that did not carry over, or that one has to know. */
export interface Note {
  /** Where in the new file it is said; an empty path: at its top. */
  at: readonly string[];
  /** What of the old file it is about: `line 12`, `apps[0].watch`. */
  from?: string;
  text: string;
}

/** A new file in the making. */
export class Draught {
  /** The sections in the order in which they are written. */
  readonly config: Draft = {
    version: "3",
    application: undefined,
    control: undefined,
    proxy: undefined,
  };
  readonly notes: Note[] = [];
  readonly #ids = new Set<string>();

  note(at: readonly string[], from: string | undefined, text: string): void {
    this.notes.push({ at, from, text });
  }

  /** A text as our file has to hold it, so that it stays what it is. */
  text(text: string, at: readonly string[], from: string): string {
    for (const name of placeholders(text)) {
      this.note(at, from, `{{${name}}} is a template here and cannot be written as a text`);
    }
    return literal(text);
  }

  /** An id that no process has yet, as near to the old name as the rules allow. */
  id(name: string, from: string): string {
    const fit = readProcessId(name) instanceof Refusal ? fitting(name) : name;
    let id = fit;
    for (let n = 2; this.#ids.has(id); n++) id = `${fit.slice(0, 60)}-${n}`;
    this.#ids.add(id);
    if (id !== name) {
      this.note(["processes", id], from, `${quote(name)} is called ${quote(id)} here`);
    }
    return id;
  }

  /** Adds a process. */
  process(id: string, draft: Draft): void {
    const processes = (this.config.processes ??= {}) as Draft;
    processes[id] = draft;
  }
}

/** An id made of a name that cannot be one: a letter first, 64 characters of few kinds. */
function fitting(name: string): string {
  const clean = name.replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[^A-Za-z]/, "p$&").replace(
    /-+$/,
    "",
  );
  return clean.slice(0, 60) || "process";
}

/** A `$` that our own expansion would take is doubled. */
export function literal(text: string): string {
  return text.replace(/\$(?=[${])/g, "$$$$");
}

/** For messages. */
export function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

/** Milliseconds as our file has them. */
export function duration(ms: number): Value {
  return ms === 0 ? 0 : formatDuration(ms);
}

const SIZES: [unit: string, bytes: number][] = [
  ["GiB", 2 ** 30],
  ["MiB", 2 ** 20],
  ["KiB", 2 ** 10],
  ["B", 1],
];

/** Bytes as our file has them: exact. */
export function size(bytes: number): Value {
  const [unit, factor] = SIZES.find(([, factor]) => bytes % factor === 0)!;
  return bytes === 0 ? 0 : `${bytes / factor}${unit}`;
}

/** Without keys that hold nothing; undefined when nothing is left. */
export function filled(draft: Draft): Draft | undefined {
  const entries = Object.entries(draft).filter(([, value]) => value !== undefined);
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}
