/**
 * The pages of the commands: one for each, and the index of all.
 *
 * Invariant: made from the command table alone, so that a page tells what `--help` tells.
 */

import type { Command } from "../../lib/cli/command.ts";
import { argumentRow, EXIT_MEANINGS, exitsOf, optionRow, usageOf } from "../../lib/cli/help.ts";
import { GLOBAL_OPTIONS } from "../../lib/cli/options.ts";
import { COMMANDS } from "../../lib/cli/table.ts";
import { fenced, table, wrapped } from "./markdown.ts";
import type { Page } from "./pages.ts";

const DIRECTORY = "docs/commands";

/** The index, then the commands in the order of the table. */
export function commandPages(): Page[] {
  const links = COMMANDS.map(({ name, about }) => [
    `[\`${name}\`](commands/${pageOf(name)})`,
    about,
  ]);
  return [
    {
      file: "docs/cli.md",
      parts: {
        commands: table(["Command", "Does"], links),
        options: table(["Option", "Means"], GLOBAL_OPTIONS.map(optionRow).map(named)),
        exits: table(["Exit", "Means"], Object.entries(EXIT_MEANINGS)),
      },
    },
    ...COMMANDS.map((command): Page => ({
      file: `${DIRECTORY}/${pageOf(command.name)}`,
      heading: `# supervisor ${command.name}`,
      parts: { usage: usage(command), reference: reference(command) },
    })),
  ];
}

/** `jobs-push.md`: the file of a command. */
export function pageOf(name: string): string {
  return `${name.replaceAll(" ", "-")}.md`;
}

function usage(command: Command): string {
  const about = `${command.about[0].toUpperCase()}${command.about.slice(1)}.`;
  return [wrapped(about), fenced("text", `supervisor ${usageOf(command)}`)].join("\n\n");
}

function reference(command: Command): string {
  const blocks: string[] = [];
  const { options, examples } = command;
  const parameters = command.arguments ?? [];
  if (parameters.length > 0) {
    blocks.push(
      "## Arguments",
      table(["Argument", "Means"], parameters.map(argumentRow).map(named)),
    );
  }
  blocks.push("## Options");
  if (options.length > 0) {
    blocks.push(table(["Option", "Means"], options.map(optionRow).map(named)));
  }
  const more = options.length > 0 ? "And the" : "Only the";
  blocks.push(`${more} [options of every command](../cli.md#options-of-every-command).`);
  blocks.push("## Exit codes", table(["Exit", "Means"], exitsOf(command)));
  blocks.push("## Examples", fenced("sh", examples.join("\n")));
  return blocks.join("\n\n");
}

function named([name, about]: [string, string]): string[] {
  return [`\`${name.trim()}\``, about];
}
