/**
 * The manual page supervisor(1), out of the command table.
 *
 * Invariant: pure; every command and option of the table appears, and no text of it can be taken for a
 * request of the formatter.
 */

import { VERSION } from "../core/version.ts";
import type { Command } from "./command.ts";
import { argumentRow, EXIT_MEANINGS, exitsOf, optionRow, usageOf } from "./help.ts";
import { GLOBAL_OPTIONS } from "./options.ts";

export function manPage(commands: readonly Command[]): string {
  const lines = [
    `.TH SUPERVISOR 1 "" "supervisor ${VERSION}" "User Commands"`,
    ".SH NAME",
    "supervisor \\- keeps an application running and replaces it without losing a request",
    ".SH SYNOPSIS",
    ".B supervisor",
    ".I COMMAND",
    "[\\fIOPTIONS\\fR]",
    ".SH DESCRIPTION",
    text(
      "One program that starts an application, watches it, puts one stable address in front of it,",
    ),
    text("replaces it with a new release without losing a request, and takes it back when the new"),
    text("release is bad. Data goes to stdout, talk to stderr."),
    ".SH OPTIONS OF EVERY COMMAND",
    ...GLOBAL_OPTIONS.map(optionRow).flatMap(row),
    ".SH COMMANDS",
    ...commands.flatMap(commandLines),
    ".SH EXIT STATUS",
    ...Object.entries(EXIT_MEANINGS).flatMap(row),
    ".SH FILES",
    ...row(["supervisor.yaml, .rr.yaml", "the configuration, looked for in the working directory"]),
    ".SH ENVIRONMENT",
    ...row(["NO_COLOR", "no colours"]),
    ...row(["SUPERVISOR_DEBUG", "1: the stack of an error, too"]),
  ];
  return `${lines.join("\n")}\n`;
}

function commandLines(command: Command): string[] {
  return [
    `.SS ${text(command.name)}`,
    `.B ${text(`supervisor ${usageOf(command)}`)}`,
    ".PP",
    text(`${command.about[0].toUpperCase()}${command.about.slice(1)}.`),
    ...(command.arguments ?? []).map(argumentRow).flatMap(row),
    ...command.options.map(optionRow).flatMap(row),
    ".PP",
    text(`Exit: ${exitsOf(command).map(([code, meaning]) => `${code} ${meaning}`).join("; ")}.`),
    ".PP",
    ".nf",
    ...command.examples.map(text),
    ".fi",
  ];
}

function row([left, right]: [string, string]): string[] {
  return [".TP", `.B ${text(left.trim())}`, text(right)];
}

/** A line that the formatter prints as it is. */
function text(line: string): string {
  const safe = line.replaceAll("\\", "\\e").replaceAll("-", "\\-").replaceAll('"', "\\(dq");
  return /^[.']/.test(safe) ? `\\&${safe}` : safe;
}
