/**
 * What the command table offers at a place of a command line; the scripts for all shells are made of
 * it.
 *
 * Invariant: pure; what is offered is what parsing takes.
 */

import type { Argument, Command, Option } from "../command.ts";

/** What may stand for a value. `none`: nothing that could be offered. */
export type Offer =
  | { kind: "files" | "directories" | "none" }
  | { kind: "words"; words: readonly string[] };

/** What may follow an option. undefined: it takes no value. */
export function offerOf({ kind, value, values }: Option): Offer | undefined {
  if (kind === "flag") return undefined;
  if (values !== undefined) return { kind: "words", words: values };
  if (kind !== "path") return { kind: "none" };
  return { kind: value === "DIR" ? "directories" : "files" };
}

/** What may stand for an argument. */
export function offerOfArgument({ name, values }: Argument, commands: readonly Command[]): Offer {
  if (values !== undefined) return { kind: "words", words: values };
  if (name === "COMMAND") return { kind: "words", words: commands.map(({ name }) => name) };
  return { kind: name === "FILE" ? "files" : "none" };
}

/** `--config` and `-c`. */
export function spellings({ name, short }: Option): string[] {
  return short === undefined ? [`--${name}`] : [`--${name}`, `-${short}`];
}
