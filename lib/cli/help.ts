/**
 * Help out of the command table.
 *
 * Invariant: pure; every command and option of the table appears, and nothing else.
 */

import { Exit, type ExitCode } from "../core/failure.ts";
import { type Argument, type Command, groupOf, type Option } from "./command.ts";
import { GLOBAL_OPTIONS } from "./options.ts";

/** What the exit codes that every command can end with mean. */
export const COMMON_EXITS: Partial<Record<ExitCode, string>> = {
  [Exit.done]: "done",
  [Exit.usage]: "wrong usage",
};

/** What codes mean where a command says nothing of its own. */
export const EXIT_MEANINGS: Record<ExitCode, string> = {
  [Exit.done]: "done",
  [Exit.failed]: "the operation failed",
  [Exit.usage]: "wrong usage",
  [Exit.config]: "the configuration is invalid",
  [Exit.noDaemon]: "no daemon reachable",
  [Exit.running]: "already running, or refused because of a running daemon",
  [Exit.partly]: "live, but with errors that are named",
};

/** `supervisor help`, or `supervisor help GROUP`. */
export function overview(commands: readonly Command[], group?: string): string {
  const shown = group === undefined ? commands : groupOf(group, commands);
  return [
    "supervisor keeps an application running and replaces it without losing a request",
    "",
    `usage: supervisor ${group === undefined ? "" : `${group} `}COMMAND [OPTIONS]`,
    "",
    "commands:",
    ...columns(shown.map((command) => [command.name, command.about])),
    "",
    "options of every command:",
    ...columns(GLOBAL_OPTIONS.map(optionRow)),
    "",
    "exit codes:",
    ...columns(Object.entries(EXIT_MEANINGS)),
    "",
    `supervisor ${group ?? ""} COMMAND --help tells more of one command`.replace("  ", " "),
    "",
  ].join("\n");
}

/** `supervisor COMMAND --help`. */
export function commandHelp(command: Command): string {
  const lines = [`${command.about}`, "", `usage: supervisor ${usageOf(command)}`];
  if (command.arguments !== undefined) {
    lines.push("", "arguments:", ...columns(command.arguments.map(argumentRow)));
  }
  if (command.options.length > 0) {
    lines.push("", "options:", ...columns(command.options.map(optionRow)));
  }
  lines.push("", "options of every command:", ...columns(GLOBAL_OPTIONS.map(optionRow)));
  lines.push("", "exit codes:", ...columns(exitsOf(command)));
  lines.push("", "examples:", ...command.examples.map((example) => `  ${example}`));
  return `${lines.join("\n")}\n`;
}

/** `deploy --release-path DIR [--release-id ID] …` */
export function usageOf(command: Command): string {
  const words = [command.name];
  for (const { name, optional } of command.arguments ?? []) {
    words.push(optional ? `[${name}]` : name);
  }
  for (const option of command.options) {
    const text = spelling(option);
    words.push(option.required ? text : `[${text}]`);
  }
  return words.join(" ");
}

/** Exit codes with their meanings, in order. */
export function exitsOf(command: Command): [code: string, meaning: string][] {
  return Object.entries({ ...COMMON_EXITS, ...command.exits });
}

/** `SHELL` and what it may be. */
export function argumentRow({ name, about, values }: Argument): [string, string] {
  return [name, values === undefined ? about : `${about}: ${values.join(", ")}`];
}

/** `-f, --follow` or `--lines N`. */
export function optionRow(option: Option): [string, string] {
  const { short, about, values } = option;
  const name = short === undefined ? `    ${spelling(option)}` : `-${short}, ${spelling(option)}`;
  return [name, values === undefined ? about : `${about}: ${values.join(", ")}`];
}

function spelling({ name, value }: Option): string {
  return value === undefined ? `--${name}` : `--${name} ${value}`;
}

function columns(rows: [string, string][]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`.trimEnd());
}
