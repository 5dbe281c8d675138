/**
 * From words to a command with checked values.
 *
 * Invariant: strict. An unknown option or command, a missing or useless value, a value of the wrong
 * kind and an argument nobody asked for are usage errors (exit 2) that say what was meant.
 */

import { parseArgs } from "@std/cli/parse-args";
import { parseDuration } from "../core/duration.ts";
import { Exit, Failure } from "../core/failure.ts";
import { nearest } from "../core/suggest.ts";
import { type Command, groupOf, namesOf, type Option, type Values } from "./command.ts";
import { GLOBAL_OPTIONS } from "./options.ts";

/** What the words meant. */
export interface Parsed {
  /** Undefined: no command was named. */
  command?: Command;
  /** Only the first word of a group of commands was named, and its help asked for. */
  group?: string;
  values: Values;
  arguments: string[];
}

/** Milliseconds since 1970, for durations back from now. */
export type Now = () => number;

/** @throws Failure, exit 2 */
export function parse(args: string[], commands: readonly Command[], now: Now): Parsed {
  const front = words(args, GLOBAL_OPTIONS, undefined, true);
  const [name, ...rest] = front.rest;
  if (name === undefined) return { values: new ParsedValues(front.found, now), arguments: [] };
  if (groupOf(name, commands).length > 0) return parseGroup(name, front.found, rest, commands, now);
  const command = commands.find((command) => command.name === name);
  if (command === undefined) throw unknownCommand(name, namesOf(commands));
  return parseCommand(command, front.found, rest, now);
}

/** The second word of a command's name comes next, perhaps behind options of every command. */
function parseGroup(
  name: string,
  found: Found,
  args: string[],
  commands: readonly Command[],
  now: Now,
): Parsed {
  const inner = words(args, GLOBAL_OPTIONS, undefined, true);
  const all = merge(found, inner.found);
  const [action, ...rest] = inner.rest;
  if (action === undefined && all.has("help")) {
    return { group: name, values: new ParsedValues(all, now), arguments: [] };
  }
  const group = groupOf(name, commands);
  const command = group.find((command) => command.name === `${name} ${action}`);
  if (command !== undefined) return parseCommand(command, all, rest, now);
  if (action !== undefined) {
    throw unknownCommand(`${name} ${action}`, group.map((command) => command.name));
  }
  const actions = group.map((command) => command.name.slice(name.length + 1));
  throw usage(`${name} needs one of ${actions.join(", ")}`, `for example: ${group[0].examples[0]}`);
}

function parseCommand(command: Command, before: Found, args: string[], now: Now): Parsed {
  const options = [...command.options, ...GLOBAL_OPTIONS];
  const back = words(args, options, command, false);
  const values = new ParsedValues(merge(before, back.found), now);
  if (!values.flag("help")) {
    checkArguments(command, back.rest);
    checkTogether(command, values);
  }
  return { command, values, arguments: back.rest };
}

type Found = Map<string, { option: Option; values: string[] }>;

function words(
  args: string[],
  options: readonly Option[],
  command: Command | undefined,
  stopEarly: boolean,
): { found: Found; rest: string[] } {
  const valued = options.filter((option) => option.kind !== "flag").map((option) => option.name);
  const flags = options.filter((option) => option.kind === "flag").map((option) => option.name);
  const short = options.flatMap(({ name, short }) => short === undefined ? [] : [[name, short]]);
  const parsed = parseArgs(withDashes(args, valued), {
    string: ["_", ...valued],
    collect: valued,
    boolean: flags,
    alias: Object.fromEntries(short),
    stopEarly,
    "--": true,
    unknown: (word, key) => {
      if (key !== undefined) throw unknownOption(word, options, command);
      return true;
    },
  });
  const found: Found = new Map();
  for (const option of options) {
    const value = parsed[option.name];
    if (option.kind === "flag") {
      if (value === true) found.set(option.name, { option, values: [] });
      continue;
    }
    const values = value as string[];
    if (values.length === 0) continue;
    found.set(option.name, { option, values: values.map((value) => checked(option, value)) });
  }
  refuseFlagValues(args, flags, stopEarly);
  // What stands behind "--" is never an option; the front leaves the mark for the command's own pass.
  const behind = parsed["--"] as string[];
  const mark = stopEarly && behind.length > 0 ? ["--"] : [];
  return { found, rest: [...parsed._.map(String), ...mark, ...behind] };
}

/** A lone dash behind an option is its value: the standard input. The parser would take it for a word. */
function withDashes(args: readonly string[], valued: readonly string[]): string[] {
  const joined: string[] = [];
  for (const [at, word] of args.entries()) {
    if (word === "--") return [...joined, ...args.slice(at)];
    const before = joined.at(-1);
    if (word === "-" && before?.startsWith("--") && valued.includes(before.slice(2))) {
      joined[joined.length - 1] = `${before}=-`;
    } else joined.push(word);
  }
  return joined;
}

/** A flag takes no value: `--json=no` would otherwise quietly mean yes. */
function refuseFlagValues(args: string[], flags: string[], stopEarly: boolean): void {
  for (const word of args) {
    if (word === "--" || (stopEarly && !word.startsWith("-"))) return;
    const name = /^--([^=]+)=/.exec(word)?.[1];
    if (name !== undefined && flags.includes(name)) {
      throw usage(`--${name} takes no value`, `write --${name}, or leave it out`);
    }
  }
}

function checked(option: Option, value: string): string {
  const { name, kind, values } = option;
  if (value === "") throw usage(`--${name} needs a value`, `write --${name} ${option.value}`);
  if (values !== undefined && !values.includes(value)) {
    throw usage(`--${name} cannot be "${value}"`, oneOf(value, values));
  }
  if (kind === "count" && !(/^\d{1,9}$/.test(value) && Number(value) > 0)) {
    throw usage(`--${name} needs a whole number from 1 up, not "${value}"`, `--${name} 50`);
  }
  if (kind === "duration" && parseDuration(value) === undefined) {
    throw usage(`--${name} needs a duration, not "${value}"`, `--${name} 10m`);
  }
  if (kind === "moment" && momentOf(value, 0) === undefined) {
    const fix = `--${name} 10m, or --${name} 2030-01-31T12:00:00Z`;
    throw usage(`--${name} needs a duration back from now or a date, not "${value}"`, fix);
  }
  if (name === "override" && !/^[^=]+=/.test(value)) {
    throw usage(
      `-o needs KEY=VALUE, not "${value}"`,
      "for example -o proxy.address=127.0.0.1:9000",
    );
  }
  return value;
}

/** What was meant, or everything that may be. */
function oneOf(word: string, values: readonly string[]): string {
  const near = nearest(word, values);
  return near === undefined ? `one of ${values.join(", ")}` : `did you mean "${near}"?`;
}

function momentOf(value: string, now: number): number | undefined {
  const back = parseDuration(value);
  if (back !== undefined) return now - back;
  const at = /^\d{4}-\d\d-\d\d/.test(value) ? Date.parse(value) : NaN;
  return Number.isNaN(at) ? undefined : at;
}

function merge(front: Found, back: Found): Found {
  const all = new Map(front);
  for (const [name, { option, values }] of back) {
    all.set(name, { option, values: [...all.get(name)?.values ?? [], ...values] });
  }
  return all;
}

function checkTogether(command: Command, values: ParsedValues): void {
  for (const option of command.options) {
    const { name, required, needs } = option;
    if (required && !values.has(name)) {
      throw usage(`${command.name} needs --${name}`, `write --${name} ${option.value}`);
    }
    if (needs !== undefined && values.has(name) && !values.has(needs)) {
      throw usage(`--${name} works only together with --${needs}`, `add --${needs}`);
    }
  }
}

function checkArguments(command: Command, given: string[]): void {
  const known = command.arguments ?? [];
  const missing = known.find((argument, index) => !argument.optional && given[index] === undefined);
  if (missing !== undefined) {
    throw usage(`${command.name} needs ${missing.name}`, `for example: ${command.examples[0]}`);
  }
  for (const [index, { name, values }] of known.entries()) {
    const word = given[index];
    if (word === undefined || values === undefined || values.includes(word)) continue;
    throw usage(`${name} of ${command.name} cannot be "${word}"`, oneOf(word, values));
  }
  if (given.length > known.length) {
    const what = known.length === 0 ? "no arguments" : `only ${count(known.length)}`;
    const word = given[known.length];
    const fix = command.argumentMeans === undefined
      ? `see supervisor ${command.name} --help`
      : `write --${command.argumentMeans} ${word}`;
    throw usage(`${command.name} takes ${what}, but was given "${word}"`, fix);
  }
}

function count(arguments_: number): string {
  return arguments_ === 1 ? "one argument" : `${arguments_} arguments`;
}

class ParsedValues implements Values {
  readonly #found: Found;
  readonly #now: Now;

  constructor(found: Found, now: Now) {
    this.#found = found;
    this.#now = now;
  }

  has(name: string): boolean {
    return this.#found.has(name);
  }

  flag(name: string): boolean {
    return this.has(name);
  }

  text(name: string): string | undefined {
    return this.#found.get(name)?.values.at(-1);
  }

  list(name: string): string[] {
    return this.#found.get(name)?.values ?? [];
  }

  count(name: string): number | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : Number(text);
  }

  duration(name: string): number | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : parseDuration(text);
  }

  moment(name: string): number | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : momentOf(text, this.#now());
  }
}

function unknownCommand(name: string, names: readonly string[]): Failure {
  const near = nearest(name, names);
  const fix = near === undefined ? "see supervisor help" : `did you mean "supervisor ${near}"?`;
  return usage(`there is no command "${name}"`, fix);
}

function unknownOption(
  word: string,
  options: readonly Option[],
  command: Command | undefined,
): Failure {
  const name = word.split("=")[0];
  const names = options.flatMap((option) =>
    option.short === undefined ? [`--${option.name}`] : [`--${option.name}`, `-${option.short}`]
  );
  const near = name.startsWith("--") ? nearest(name, names) : undefined;
  const help = command === undefined ? "supervisor help" : `supervisor ${command.name} --help`;
  const fix = near === undefined ? `see ${help}` : `did you mean "${near}"?`;
  const who = command === undefined ? "" : ` for ${command.name}`;
  return usage(`unknown option "${name}"${who}`, fix);
}

function usage(message: string, fix: string): Failure {
  return new Failure(message, { exit: Exit.usage, fix });
}
