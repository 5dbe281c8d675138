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
    options: [{ name: "man", kind: "flag", about: "the whole as a manual page, for man(1)" }],
    exits: {},
    examples: [
      "supervisor help",
      "supervisor help deploy",
      "supervisor help --man > ~/.local/share/man/man1/supervisor.1",
    ],
    async run({ arguments: [name], values, out }) {
      const all = commands();
      if (values.flag("man")) {
        const { manPage } = await import("../man.ts");
        await out.data(manPage(all));
        return Exit.done;
      }
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
