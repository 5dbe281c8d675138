/**
 * What the command table offers at a place of a command line; the scripts for all shells are made of
 * it.
 *
 * Invariant: pure; what is offered is what parsing takes.
 */

import {
  type Argument,
  type Command,
  groupOf,
  type Named,
  namesOf,
  type Option,
} from "../command.ts";

/** What may stand for a value. `none`: nothing that could be offered. */
export type Offer =
  | { kind: "files" | "directories" | "none" }
  | { kind: "words"; words: readonly string[] }
  | { kind: "names"; names: readonly Named[] };

/** What may follow an option. undefined: it takes no value. */
export function offerOf({ kind, value, values, names }: Option): Offer | undefined {
  if (kind === "flag") return undefined;
  if (names !== undefined) return { kind: "names", names };
  if (values !== undefined) return { kind: "words", words: values };
  if (kind !== "path") return { kind: "none" };
  return { kind: value === "DIR" ? "directories" : "files" };
}

/** What may stand for an argument. */
export function offerOfArgument(
  { name, values, names }: Argument,
  commands: readonly Command[],
): Offer {
  if (names !== undefined) return { kind: "names", names };
  if (values !== undefined) return { kind: "words", words: values };
  if (name === "COMMAND") return { kind: "words", words: namesOf(commands) };
  return { kind: name === "FILE" ? "files" : "none" };
}

/** Commands of two words with the same first one. */
export interface Group {
  name: string;
  /** Their second words. */
  actions: string[];
}

/** All groups. */
export function groupsOf(commands: readonly Command[]): Group[] {
  return namesOf(commands).map((name) => ({
    name,
    actions: groupOf(name, commands).map((command) => command.name.slice(name.length + 1)),
  })).filter(({ actions }) => actions.length > 0);
}

/** `--config` and `-c`. */
export function spellings({ name, short }: Option): string[] {
  return short === undefined ? [`--${name}`] : [`--${name}`, `-${short}`];
}
