/** `help`: of everything, or of one command. */

import { Exit, Failure } from "../../core/failure.ts";
import { nearest } from "../../core/suggest.ts";
import type { Command } from "../command.ts";
import { commandHelp, overview } from "../help.ts";

/** Needs the whole table, which it is part of. */
export function helpOf(commands: () => readonly Command[]): Command {
  return {
    name: "help",
    about: "show what commands there are, or how to use one",
    arguments: [{ name: "COMMAND", about: "the command", optional: true }],
    options: [],
    exits: {},
    examples: ["supervisor help", "supervisor help deploy"],
    async run({ arguments: [name], out }) {
      const all = commands();
      const command = all.find((command) => command.name === name);
      if (name !== undefined && command === undefined) {
        const near = nearest(name, all.map((command) => command.name));
        const fix = near === undefined ? "see supervisor help" : `did you mean "${near}"?`;
        throw new Failure(`there is no command "${name}"`, { exit: Exit.usage, fix });
      }
      await out.data(command === undefined ? overview(all) : commandHelp(command));
      return Exit.done;
    },
  };
}
