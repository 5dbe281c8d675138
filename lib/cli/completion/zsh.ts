/**
 * Completion for zsh, by its own `_arguments`.
 *
 * Invariant: every text of the table is quoted; none of it is ever run.
 */

import type { Command, Option } from "../command.ts";
import { GLOBAL_OPTIONS } from "../options.ts";
import { type Offer, offerOf, offerOfArgument, spellings } from "./words.ts";

export function zshCompletion(commands: readonly Command[]): string {
  const described = commands.map(({ name, about }) => quoted(`${name}:${about}`));
  const lines = [
    "#compdef supervisor",
    "# Completion of supervisor for zsh. Put it as _supervisor into a directory of $fpath.",
    "_supervisor() {",
    "  local context state state_descr line",
    "  typeset -A opt_args",
    "  local -a commands",
    "  commands=(",
    ...described.map((text) => `    ${text}`),
    "  )",
    "  _arguments -C \\",
    ...GLOBAL_OPTIONS.flatMap(specs).map((spec) => `    ${spec} \\`),
    "    '1:command:->command' '*::argument:->arguments' && return",
    "  case $state in",
    "    command) _describe -t commands command commands ;;",
    "    arguments)",
    "      case $words[1] in",
    ...commands.flatMap((command) => caseOf(command, commands)),
    "      esac",
    "      ;;",
    "  esac",
    "}",
    // Loaded by compinit the file is the function's body; sourced it only defines it.
    'if [[ "$funcstack[1]" == _supervisor ]]; then _supervisor "$@"; else compdef _supervisor supervisor; fi',
  ];
  return `${lines.join("\n")}\n`;
}

function caseOf(command: Command, commands: readonly Command[]): string[] {
  const options = [...command.options, ...GLOBAL_OPTIONS].flatMap(specs);
  const arguments_ = (command.arguments ?? []).map((argument, index) => {
    const optional = argument.optional ? ":" : "";
    const action = actionOf(offerOfArgument(argument, commands));
    return quoted(`${index + 1}:${optional}${escaped(argument.name)}:${action}`);
  });
  return [`        ${command.name}) _arguments ${[...options, ...arguments_].join(" ")} ;;`];
}

/** An option in each of its spellings: `'(-c --config)--config=[about]:FILE:_files'`. */
function specs(option: Option): string[] {
  const names = spellings(option);
  const offer = offerOf(option);
  const repeated = option.kind === "list";
  const before = repeated ? "*" : names.length > 1 ? `(${names.join(" ")})` : "";
  const about = `[${escaped(option.about)}]`;
  return names.map((name) => {
    if (offer === undefined) return quoted(`${before}${name}${about}`);
    const glue = name.startsWith("--") ? "=" : "+";
    const value = escaped(option.value ?? "");
    return quoted(`${before}${name}${glue}${about}:${value}:${actionOf(offer)}`);
  });
}

function actionOf(offer: Offer): string {
  switch (offer.kind) {
    case "words":
      return `(${offer.words.join(" ")})`;
    case "files":
      return "_files";
    case "directories":
      return "_files -/";
    case "none":
      return " ";
  }
}

function escaped(text: string): string {
  return text.replace(/[:[\]\\]/g, "\\$&");
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
