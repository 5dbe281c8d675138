/**
 * What a command is: one table entry that drives parsing, help, documentation check and completion.
 *
 * Invariant: a command knows the world only through its Call, so that everything it does can be seen
 * from its arguments.
 */

import type { ControlClient } from "../control/client.ts";
import type { Clock } from "../core/clock.ts";
import { Exit, type ExitCode } from "../core/failure.ts";
import type { Output } from "./output.ts";
import type { Place } from "./place.ts";

/**
 * What an option takes. `count`: a whole number from 1 up. `duration`: `10m`. `moment`: a duration back
 * from now (`10m`) or a date with time.
 */
export type OptionKind = "flag" | "text" | "path" | "list" | "count" | "duration" | "moment";

/** What a running daemon has names for; completion asks it. */
export type Named = "process" | "pool" | "release" | "pipeline";

/** One option. */
export interface Option {
  name: string;
  /** One letter. */
  short?: string;
  kind: OptionKind;
  /** What stands for its value in help: `FILE`. */
  value?: string;
  about: string;
  required?: boolean;
  /** The only values allowed. */
  values?: readonly string[];
  /** Its value is the name of one of these. */
  names?: readonly Named[];
  /** Works only together with this other option. */
  needs?: string;
}

/** An argument without a dash. */
export interface Argument {
  name: string;
  about: string;
  optional?: boolean;
  /** The only values allowed. */
  values?: readonly string[];
  /** It is the name of one of these. */
  names?: readonly Named[];
}

/** One command. */
export interface Command {
  /** One word, or the name of a group and a word: `deploy`, `jobs push`. */
  name: string;
  /** One line, imperative, no full stop. */
  about: string;
  arguments?: readonly Argument[];
  /** The option that a stray argument was probably meant for. */
  argumentMeans?: string;
  options: readonly Option[];
  /** Exit codes besides 0 and 2, and what they mean here. */
  exits: Partial<Record<ExitCode, string>>;
  examples: readonly string[];
  run(call: Call): Promise<ExitCode>;
}

/** Values of options, already checked. */
export interface Values {
  has(name: string): boolean;
  flag(name: string): boolean;
  text(name: string): string | undefined;
  list(name: string): string[];
  count(name: string): number | undefined;
  /** Milliseconds. */
  duration(name: string): number | undefined;
  /** Milliseconds since 1970. */
  moment(name: string): number | undefined;
}

/** One call of a command. */
export interface Call {
  values: Values;
  arguments: string[];
  out: Output;
  clock: Clock;
  env: Record<string, string>;
  /** Where the caller stands (after --workdir). */
  cwd: string;
  /** Aborted by Ctrl-C in commands that wait; its reason is `interrupted`. */
  interrupt(): AbortSignal;
  /** The places of the daemon that is meant: --socket, or the configuration. */
  place(): Promise<Place>;
  /** A client for that daemon. */
  client(): Promise<ControlClient>;
}

/** Why a signal was aborted by Ctrl-C. */
export const interrupted = new Error("interrupted");

/** Exit codes of every command that talks to a daemon. */
export const CLIENT_EXITS: Partial<Record<ExitCode, string>> = {
  [Exit.config]: "no configuration says where the daemon is",
  [Exit.noDaemon]: "no daemon reachable",
  [Exit.running]: "the daemon there runs another application",
};

/** What is typed first: names of commands of one word, and of groups, each once. */
export function namesOf(commands: readonly Command[]): string[] {
  return [...new Set(commands.map(({ name }) => name.split(" ")[0]))];
}

/** The commands of a group; none: it is no group. */
export function groupOf(name: string, commands: readonly Command[]): Command[] {
  return commands.filter((command) => command.name.startsWith(`${name} `));
}
