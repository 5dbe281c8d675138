/** `completion`: what makes a shell complete our commands and options. */

import { Exit } from "../../core/failure.ts";
import type { Command } from "../command.ts";
import { bashCompletion } from "../completion/bash.ts";
import { fishCompletion } from "../completion/fish.ts";
import { zshCompletion } from "../completion/zsh.ts";

const SHELLS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion };

/** Needs the whole table, which it is part of. */
export function completionOf(commands: () => readonly Command[]): Command {
  return {
    name: "completion",
    about: "print what makes a shell complete commands and options",
    arguments: [{ name: "SHELL", about: "the shell", values: Object.keys(SHELLS) }],
    options: [],
    exits: {},
    examples: [
      "supervisor completion bash > ~/.local/share/bash-completion/completions/supervisor",
      "supervisor completion fish > ~/.config/fish/completions/supervisor.fish",
    ],
    async run({ arguments: [shell], out }) {
      const script = SHELLS[shell as keyof typeof SHELLS](commands());
      await out.result({ status: "success", shell, script }, () => script);
      return Exit.done;
    },
  };
}
