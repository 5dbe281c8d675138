/**
 * Completion for zsh, by its own `_arguments`.
 *
 * Invariant: every text of the table is quoted; none of it, and no name of a daemon, is ever run.
 */

import { type Command, groupOf, namesOf, type Option } from "../command.ts";
import { NAMES } from "../commands/names.ts";
import { GLOBAL_OPTIONS } from "../options.ts";
import { type Group, groupsOf, type Offer, offerOf, offerOfArgument, spellings } from "./words.ts";

export function zshCompletion(commands: readonly Command[]): string {
  const groups = groupsOf(commands);
  const described = namesOf(commands).map((name) => {
    const about = commands.find((command) => command.name === name)?.about;
    return quoted(about === undefined ? name : `${name}:${about}`);
  });
  const lines = [
    "#compdef supervisor",
    "# Completion of supervisor for zsh. Put it as _supervisor into a directory of $fpath.",
    "_supervisor_names() {",
    "  local -a names",
    `  names=(\${(f)"$("\${(Q)typed[1]}" ${NAMES} $1 -- "\${(F)\${(@Q)typed[2,-1]}}" 2>/dev/null)"})`,
    "  compadd -a names",
    "}",
    "_supervisor() {",
    // _arguments takes words away on its way down; where the daemon is may be said in those.
    '  local -a typed=("${words[@]}")',
    "  local context state state_descr line",
    "  typeset -A opt_args",
    "  local -a commands",
    "  commands=(",
    ...described.map((text) => `    ${text}`),
    "  )",
    // Options behind the command are for its own call.
    `  _arguments -C -A '-*' \\`,
    ...GLOBAL_OPTIONS.flatMap(specs).map((spec) => `    ${spec} \\`),
    "    '1:command:->command' '*::argument:->arguments' && return",
    "  case $state in",
    "    command) _describe -t commands command commands ;;",
    "    arguments)",
    "      case $words[1] in",
    ...groups.flatMap((group) => groupLines(group, commands)),
    ...commands.filter(({ name }) => !name.includes(" "))
      .flatMap((command) => caseOf(command.name, command, commands)),
    "      esac",
    "      ;;",
    "  esac",
    "}",
    // Loaded by compinit the file is the function's body; sourced it only defines it.
    'if [[ "$funcstack[1]" == _supervisor ]]; then _supervisor "$@"; else compdef _supervisor supervisor; fi',
  ];
  return `${lines.join("\n")}\n`;
}

/** The second words of a group, then what each of them takes. */
function groupLines({ name, actions }: Group, commands: readonly Command[]): string[] {
  const options = GLOBAL_OPTIONS.flatMap(specs).join(" ");
  const action = quoted(`1:action:(${actions.join(" ")})`);
  return [
    `        ${name})`,
    `          _arguments -C -A '-*' ${options} ${action} '*::argument:->actions' && return`,
    "          case $words[1] in",
    ...groupOf(name, commands).flatMap((command, at) => caseOf(actions[at], command, commands)),
    "          esac",
    "          ;;",
  ];
}

/** @param word what it is told by: its name, or its second word */
function caseOf(word: string, command: Command, commands: readonly Command[]): string[] {
  const options = [...command.options, ...GLOBAL_OPTIONS].flatMap(specs);
  const arguments_ = (command.arguments ?? []).map((argument, index) => {
    const optional = argument.optional ? ":" : "";
    const action = actionOf(offerOfArgument(argument, commands));
    return quoted(`${index + 1}:${optional}${escaped(argument.name)}:${action}`);
  });
  return [`        ${word}) _arguments ${[...options, ...arguments_].join(" ")} ;;`];
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
    case "names":
      return `{_supervisor_names ${offer.names.join(",")}}`;
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
