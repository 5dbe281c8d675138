/**
 * Completion for bash, which needs no other package.
 *
 * Invariant: the script calls nothing but bash's own words, and the program only for names that a
 * running daemon has; no such name is ever run.
 */

import { type Command, namesOf, type Option } from "../command.ts";
import { NAMES } from "../commands/names.ts";
import { GLOBAL_OPTIONS } from "../options.ts";
import { groupsOf, type Offer, offerOf, offerOfArgument, spellings } from "./words.ts";

export function bashCompletion(commands: readonly Command[]): string {
  const valued = GLOBAL_OPTIONS.filter(({ kind }) => kind !== "flag").flatMap(spellings);
  const names = namesOf(commands);
  const groups = groupsOf(commands);
  const lines = [
    "# Completion of supervisor for bash. Put it into",
    "# ~/.local/share/bash-completion/completions/supervisor, or source it.",
    "_supervisor_names() {",
    "  local name",
    "  while IFS= read -r name; do",
    '    if [[ "$name" == "$cur"* ]]; then COMPREPLY+=("$(printf %q "$name")"); fi',
    `  done < <("\${COMP_WORDS[0]}" ${NAMES} "$1" -- "$(printf '%s\\n' "\${COMP_WORDS[@]:1}")" 2>/dev/null)`,
    "}",
    "_supervisor() {",
    '  local cur="${COMP_WORDS[COMP_CWORD]}" prev="" command="" i=1 at=0',
    "  COMPREPLY=()",
    '  [[ "$cur" == "=" ]] && cur=""',
    '  if ((COMP_CWORD > 0)); then prev="${COMP_WORDS[COMP_CWORD - 1]}"; fi',
    '  if [[ "$prev" == "=" ]]; then prev="${COMP_WORDS[COMP_CWORD - 2]}"; fi',
    "  # The first word that is neither an option nor the value of one.",
    "  while ((i < COMP_CWORD)); do",
    '    case "${COMP_WORDS[i]}" in',
    `      ${valued.join("|")})`,
    "        ((i++))",
    '        if [[ "${COMP_WORDS[i]}" == "=" ]]; then ((i++)); fi',
    "        ;;",
    "      -*) ;;",
    "      *)",
    '        command="${command:+$command }${COMP_WORDS[i]}"; at=$i',
    // The name of a group is only the first of two words.
    `        case "$command" in ${groups.map(({ name }) => name).join("|")}) ;; *) break ;; esac`,
    "        ;;",
    "    esac",
    "    ((i++))",
    "  done",
    '  case "$command" in',
    '    "")',
    ...offers(GLOBAL_OPTIONS),
    `      if [[ "$cur" == -* ]]; then ${words(GLOBAL_OPTIONS.flatMap(spellings))}`,
    `      else ${words(names)}; fi`,
    "      ;;",
    ...groups.flatMap(({ name, actions }) => [
      `    ${name})`,
      ...offers(GLOBAL_OPTIONS),
      `      if [[ "$cur" == -* ]]; then ${words(GLOBAL_OPTIONS.flatMap(spellings))}`,
      `      else ${words(actions)}; fi`,
      "      ;;",
    ]),
    ...commands.flatMap((command) => caseOf(command, commands)),
    "  esac",
    "}",
    "complete -F _supervisor supervisor",
  ];
  return `${lines.join("\n")}\n`;
}

function caseOf(command: Command, commands: readonly Command[]): string[] {
  const options = [...command.options, ...GLOBAL_OPTIONS];
  const reply = command.arguments?.map((argument) => replyOf(offerOfArgument(argument, commands)));
  // Only the first argument is told apart: no command has two that could be offered.
  const first = reply?.[0] === undefined ? [] : [
    `      if ((COMP_CWORD == at + 1)); then ${reply[0]}; fi`,
  ];
  return [
    `    "${command.name}")`,
    ...offers(options),
    `      if [[ "$cur" == -* ]]; then ${words(options.flatMap(spellings))}; return; fi`,
    ...first,
    "      ;;",
  ];
}

/** After an option that takes a value: that value. */
function offers(options: readonly Option[]): string[] {
  const cases = options.flatMap((option) => {
    const offer = offerOf(option);
    if (offer === undefined) return [];
    return [`        ${spellings(option).join("|")}) ${replyOf(offer) ?? ":"}; return ;;`];
  });
  return ['      case "$prev" in', ...cases, "      esac"];
}

function replyOf(offer: Offer): string | undefined {
  switch (offer.kind) {
    case "words":
      return words(offer.words);
    case "files":
      return `compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur")`;
    case "directories":
      return `compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur")`;
    case "names":
      return `_supervisor_names ${offer.names.join(",")}`;
    case "none":
      return undefined;
  }
}

function words(all: readonly string[]): string {
  return `mapfile -t COMPREPLY < <(compgen -W '${all.join(" ")}' -- "$cur")`;
}
