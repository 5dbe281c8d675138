/**
 * Completion for fish: one `complete` line for everything that can be offered.
 *
 * Invariant: every text of the table is quoted; none of it, and no name of a daemon, is ever run.
 */

import { type Command, groupOf, namesOf, type Option } from "../command.ts";
import { NAMES } from "../commands/names.ts";
import { GLOBAL_OPTIONS } from "../options.ts";
import { type Group, groupsOf, type Offer, offerOf, offerOfArgument } from "./words.ts";

export function fishCompletion(commands: readonly Command[]): string {
  const names = namesOf(commands);
  const none = `not __fish_seen_subcommand_from ${names.join(" ")}`;
  const lines = [
    "# Completion of supervisor for fish. Put it into",
    "# ~/.config/fish/completions/supervisor.fish.",
    "function __supervisor_names",
    "    set -l words (commandline -opc)",
    "    set -l line (string join \\n -- $words[2..-1] | string collect)",
    `    command $words[1] ${NAMES} $argv[1] -- $line 2>/dev/null`,
    "end",
    "complete -c supervisor -f",
    ...GLOBAL_OPTIONS.map((option) => line(undefined, option)),
    ...names.map((name) => {
      const about = commands.find((command) => command.name === name)?.about;
      const described = about === undefined ? "" : ` -d ${quoted(about)}`;
      return `complete -c supervisor -n ${quoted(none)} -a ${name}${described}`;
    }),
    ...groupsOf(commands).flatMap((group) => actionsOf(group, commands)),
    ...commands.flatMap((command) => linesOf(command, commands)),
  ];
  return `${lines.join("\n")}\n`;
}

/** The second words of a group, until one of them is there. */
function actionsOf({ name, actions }: Group, commands: readonly Command[]): string[] {
  const here = `${seen(name)}; and not ${seen(actions.join(" "))}`;
  return groupOf(name, commands).map((command, at) =>
    `complete -c supervisor -n ${quoted(here)} -a ${actions[at]} -d ${quoted(command.about)}`
  );
}

function seen(words: string): string {
  return `__fish_seen_subcommand_from ${words}`;
}

function linesOf(command: Command, commands: readonly Command[]): string[] {
  const here = command.name.split(" ").map(seen).join("; and ");
  const offers = (command.arguments ?? []).map((one) => offerOfArgument(one, commands))
    .filter(({ kind }) => kind !== "none")
    .map((offer) => `complete -c supervisor -n ${quoted(here)} ${actionOf(offer)}`);
  return [...command.options.map((option) => line(here, option)), ...offers];
}

function line(condition: string | undefined, option: Option): string {
  const { name, short, about } = option;
  const offer = offerOf(option);
  return [
    "complete -c supervisor",
    ...(condition === undefined ? [] : [`-n ${quoted(condition)}`]),
    ...(short === undefined ? [] : [`-s ${short}`]),
    `-l ${name}`,
    ...(offer === undefined ? [] : ["-r", actionOf(offer)]),
    `-d ${quoted(about)}`,
  ].join(" ");
}

function actionOf(offer: Offer): string {
  switch (offer.kind) {
    case "words":
      return `-f -a ${quoted(offer.words.join(" "))}`;
    case "files":
      return "-F";
    case "directories":
      return "-f -a '(__fish_complete_directories)'";
    case "names":
      return `-f -a '(__supervisor_names ${offer.names.join(",")})'`;
    case "none":
      return "-f";
  }
}

function quoted(text: string): string {
  return `'${text.replace(/['\\]/g, "\\$&")}'`;
}
