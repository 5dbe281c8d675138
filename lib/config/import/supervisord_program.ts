/**
 * One `[program:NAME]` of a supervisord.conf.
 *
 * Invariant: supervisord runs no shell, so the command becomes a list of words.
 */

import { splitWords } from "../../core/words.ts";
import { type Draft, type Draught, duration, filled, literal, quote, type Value } from "./draft.ts";
import type { Entry, Section } from "./ini.ts";

/** A program of the old file. */
export interface Program {
  name: string;
  section: Section;
  /** Directory of the main file: %(here)s. */
  dir: string;
  /** How a line is called in notes. */
  at(line: number): string;
}

const OUTPUT = "output is kept by supervisor: see supervisor logs";

const DROPPED: Record<string, string> = {
  process_name: "copies are called NAME#0, NAME#1, …",
  priority: "the order of starts follows from `depends_on`",
  startsecs: "a process is started when its program is, or healthy when its `health` says so",
  exitcodes: "every exit that nobody asked for is followed by a restart",
  umask: "is not set; put umask in front of the command",
  serverurl: "there is no server to talk to",
  numprocs_start: "copies count from 0",
  redirect_stderr: OUTPUT,
};

/** What carries over without a word: the whole group is stopped, always. */
const ALWAYS_SO = ["stopasgroup", "killasgroup"];

export function program({ name, section, dir, at }: Program, draught: Draught): void {
  const id = draught.id(name, at(section.line));
  const place = ["processes", id];
  const draft: Draft = { command: undefined };
  const restart: Draft = {};
  let once = false;
  const note = (entry: Entry, text: string) =>
    draught.note(place, `${at(entry.line)} ${entry.key}`, text);
  const words = { name, dir, note };
  for (const entry of section.entries) {
    const { key, value } = entry;
    if (key === "command") draft.command = commandOf(entry, words);
    else if (key === "directory") {
      draft.cwd = expanded(entry, value, words);
      note(entry, "every release runs in this same directory; without cwd each runs in its own");
    } else if (key === "environment") draft.env = environment(entry, words);
    else if (key === "user") draft.user = value;
    else if (key === "numprocs") draft.replicas = value === "1" ? undefined : countOf(entry, words);
    else if (key === "stopsignal") {
      draft.stop_signal = `SIG${value.replace(/^SIG/i, "")}`.toUpperCase();
    } else if (key === "stopwaitsecs") draft.graceful_stop = seconds(entry, words);
    else if (key === "startretries") {
      restart.max_restarts = countOf(entry, words);
      note(entry, "supervisord counts failed starts in a row; here all restarts within `window`");
    } else if (key === "autorestart") {
      once = isFalse(value);
    } else if (key === "autostart") {
      if (isFalse(value)) {
        note(entry, "it is started with each release; take it out if it shall not");
      }
    } else if (ALWAYS_SO.includes(key)) {
      if (isFalse(value)) note(entry, "the whole process group is stopped, always");
    } else if (/^std(?:out|err)_/.test(key)) note(entry, OUTPUT);
    else note(entry, DROPPED[key] ?? "is not known, left out");
  }
  if (once) restart.max_restarts = 0;
  if (draft.command === undefined) {
    draught.note(place, at(section.line), "there is no command");
    draft.command = "false";
  }
  draft.restart = filled(restart);
  draught.process(id, filled(draft)!);
}

/** What the readers of values need to know. */
interface Words {
  name: string;
  dir: string;
  note(entry: Entry, text: string): void;
}

function commandOf(entry: Entry, words: Words): Value {
  const found = splitWords(entry.value.replaceAll("\n", " "));
  if (Array.isArray(found)) return found.map((word) => expanded(entry, word, words));
  words.note(entry, `it ${found.problem}; it is run by a shell here`);
  return expanded(entry, entry.value, words);
}

const EXPRESSION = /%%|%\(([^)]*)\)(\d*)([sd])/g;

/** `%(…)s` by what we have for it. */
function expanded(entry: Entry, text: string, { name, dir, note }: Words): string {
  let out = "";
  let done = 0;
  for (const match of text.matchAll(EXPRESSION)) {
    const [whole, key, width] = match;
    out += literal(text.slice(done, match.index));
    done = match.index + whole.length;
    if (whole === "%%") out += "%";
    else if (key === "here") out += literal(dir);
    else if (key === "program_name") out += literal(name);
    else if (key === "process_num") {
      out += "{{replica_index}}";
      if (width !== "") note(entry, `${whole} has leading zeros there, {{replica_index}} has none`);
    } else if (key.startsWith("ENV_")) out += `\${${key.slice(4)}}`;
    else {
      note(entry, `nothing here stands for ${whole}; it is kept as a text`);
      out += literal(whole);
    }
  }
  return out + literal(text.slice(done));
}

const PAIR = /\s*([^=,\s]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^,]*))\s*(?:,|$)/gy;

/** `KEY="value",KEY2=value`. */
function environment(entry: Entry, words: Words): Draft | undefined {
  const env: Draft = {};
  const text = entry.value.replaceAll("\n", " ").trim();
  let done = 0;
  for (const match of text.matchAll(PAIR)) {
    const [whole, key, double, single, bare] = match;
    env[key] = expanded(entry, double ?? single ?? bare.trim(), words);
    done = match.index + whole.length;
  }
  const rest = text.slice(done);
  if (rest !== "") words.note(entry, `is not KEY="VALUE", left out: ${quote(rest)}`);
  return filled(env);
}

function countOf(entry: Entry, words: Words): Value {
  if (/^\d{1,6}$/.test(entry.value)) return Number(entry.value);
  words.note(entry, `is not a number, left out: ${quote(entry.value)}`);
  return undefined;
}

function seconds(entry: Entry, words: Words): Value {
  const count = countOf(entry, words);
  return typeof count === "number" ? duration(1000 * count) : undefined;
}

function isFalse(value: string): boolean {
  return /^(?:false|no|off|0)$/i.test(value.trim());
}
