/** `help`: of everything, or of one command. */

import { Exit, Failure } from "../../core/failure.ts";
import { nearest } from "../../core/suggest.ts";
import { type Command, groupOf, namesOf } from "../command.ts";
import { commandHelp, overview } from "../help.ts";

/** Needs the whole table, which it is part of. */
export function helpOf(commands: () => readonly Command[]): Command {
  return {
    name: "help",
    about: "show what commands there are, or how to use one",
    arguments: [
      { name: "COMMAND", about: "the command", optional: true },
      { name: "ACTION", about: "its second word, where it has two", optional: true },
    ],
    options: [{ name: "man", kind: "flag", about: "the whole as a manual page, for man(1)" }],
    exits: {},
    examples: [
      "supervisor help",
      "supervisor help deploy",
      "supervisor help jobs push",
      "supervisor help --man > ~/.local/share/man/man1/supervisor.1",
    ],
    async run({ arguments: words, values, out }) {
      const all = commands();
      if (values.flag("man")) {
        const { manPage } = await import("../man.ts");
        await out.data(manPage(all));
        return Exit.done;
      }
      const name = words.join(" ");
      const group = groupOf(name, all).length > 0 ? name : undefined;
      const command = all.find((command) => command.name === name);
      if (words.length > 0 && command === undefined && group === undefined) {
        const names = words.length > 1 ? all.map((command) => command.name) : namesOf(all);
        const near = nearest(name, names);
        const fix = near === undefined ? "see supervisor help" : `did you mean "${near}"?`;
        throw new Failure(`there is no command "${name}"`, { exit: Exit.usage, fix });
      }
      await out.data(command === undefined ? overview(all, group) : commandHelp(command));
      return Exit.done;
    },
  };
}
