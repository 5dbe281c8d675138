/**
 * Completion for fish: one `complete` line for everything that can be offered.
 *
 * Invariant: every text of the table is quoted; none of it is ever run.
 */

import type { Command, Option } from "../command.ts";
import { GLOBAL_OPTIONS } from "../options.ts";
import { type Offer, offerOf, offerOfArgument } from "./words.ts";

export function fishCompletion(commands: readonly Command[]): string {
  const names = commands.map(({ name }) => name);
  const none = `not __fish_seen_subcommand_from ${names.join(" ")}`;
  const lines = [
    "# Completion of supervisor for fish. Put it into",
    "# ~/.config/fish/completions/supervisor.fish.",
    "complete -c supervisor -f",
    ...GLOBAL_OPTIONS.map((option) => line(undefined, option)),
    ...commands.map(({ name, about }) =>
      `complete -c supervisor -n ${quoted(none)} -a ${name} -d ${quoted(about)}`
    ),
    ...commands.flatMap((command) => linesOf(command, commands)),
  ];
  return `${lines.join("\n")}\n`;
}

function linesOf(command: Command, commands: readonly Command[]): string[] {
  const here = `__fish_seen_subcommand_from ${command.name}`;
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
    case "none":
      return "-f";
  }
}

function quoted(text: string): string {
  return `'${text.replace(/['\\]/g, "\\$&")}'`;
}
