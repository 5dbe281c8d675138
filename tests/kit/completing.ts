/**
 * What real shells offer when somebody presses Tab behind a line.
 *
 *   const shell = new Completing("zsh", scratch.dir, program);
 *   assertEquals(await shell.offers("supervisor depl"), ["deploy"]);
 *
 * | shell | asked by                                                                             |
 * | ----- | ------------------------------------------------------------------------------------ |
 * | bash  | calling the function as readline does, words split as readline splits them           |
 * | zsh   | pressing Tab in an interactive zsh on a terminal of its own (zpty); what is added is |
 * |       | noted, the end is told through a FIFO                                                |
 * | fish  | its own `complete -C`                                                                |
 *
 * Invariants: nothing of the user's own settings is read; the shell finds the program under test as
 * `supervisor`; each question has a deadline, after which the shell is killed with all it started.
 */

import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { run } from "../../scripts/lib/run.ts";
import { onPath } from "./on_path.ts";
import { runtimeCache } from "./programs.ts";

/** A shell that we write completion for. */
export type Shell = "bash" | "zsh" | "fish";

/** A question takes no longer, milliseconds. */
const LIMIT = 60_000;

/** Where bash splits words besides blanks: `=` becomes a word of its own. */
const BASH_WORDS = /=|[^\s=]+/g;

const BASH = `set -u
source "$1"
compopt() { :; }
shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_supervisor
printf '%s\\n' "\${COMPREPLY[@]}"
`;

const FISH = `source $argv[1]
complete -C $argv[2] | string replace -r '\\t.*' ''; true
`;

// The outer zsh holds the terminal; the inner one is the interactive one.
const ZSH = `zmodload zsh/zpty
mkfifo told
# Open for both, so that nothing that is told falls between two looks.
exec 3<>told
: >offered
zpty inner env TERM=dumb HOME=$PWD ZDOTDIR=$PWD zsh -f -i
zpty -w inner "source $PWD/inner.zsh $1"
read -u 3
zpty -w -n inner "$2"$'\\t'
while read -u 3 word && [[ $word != done ]]; do :; done
zpty -d inner
cat offered
`;

const ZSH_INNER = `autoload -U compinit
compinit -u -d $PWD/zcompdump
source $1
compadd() {
  # Calls that only ask or filter are not offers.
  if [[ \${@[1,(i)(-|--)]} == *-[OAD]\\ * ]]; then builtin compadd "$@"; return; fi
  local -a hits
  builtin compadd -A hits "$@"
  (( $#hits )) && print -rl -- \${(Q)hits} >>offered
  builtin compadd "$@"
}
ask() { zle complete-word; print done >told }
zle -N ask
bindkey '^I' ask
# Told by the line editor itself: what is typed before it is there may be lost.
zle-line-init() { print ready >told }
zle -N zle-line-init
`;

/** One shell with our script loaded. */
export class Completing {
  readonly #shell: Shell;
  readonly #dir: string;
  readonly #environment: Record<string, string>;

  /**
   * @param dir where the line is typed; gets a folder `.shell` for what the shell needs
   * @param program command line of the program under test
   * @param script what `completion SHELL` printed
   */
  constructor(shell: Shell, dir: string, program: string[], script: string) {
    this.#shell = shell;
    this.#dir = dir;
    const path = onPath(join(dir, ".shell", "bin"), program);
    this.#write("script", script);
    this.#environment = {
      ...Deno.env.toObject(),
      HOME: dir,
      PATH: path,
      DENO_DIR: runtimeCache(),
    };
  }

  /** What is offered behind `line`, sorted. */
  async offers(line: string): Promise<string[]> {
    const { code, stdout, stderr, cut } = await run(this.#question(line), {
      cwd: this.#dir,
      env: this.#environment,
      limit: LIMIT,
    });
    assertEquals({ code, stderr, cut }, { code: 0, stderr: "", cut: false }, line);
    return [...new Set(stdout.split("\n").filter((word) => word !== ""))].sort();
  }

  #question(line: string): string[] {
    const script = this.#write("script");
    switch (this.#shell) {
      case "bash": {
        const words = line.match(BASH_WORDS) ?? [];
        const last = /[\s]$/.test(line) ? [""] : [];
        return ["bash", "--norc", this.#write("ask.bash", BASH), script, ...words, ...last];
      }
      case "fish":
        return ["fish", "--no-config", this.#write("ask.fish", FISH), script, line];
      case "zsh": {
        for (const name of ["told", "offered"]) this.#remove(name);
        this.#write("../inner.zsh", ZSH_INNER);
        return ["zsh", "-f", this.#write("ask.zsh", ZSH), script, line];
      }
    }
  }

  /** A file of the shell's folder, written unless there is nothing to write. @returns its path */
  #write(name: string, text?: string): string {
    const path = join(this.#dir, ".shell", name);
    if (text !== undefined) Deno.writeTextFileSync(path, text);
    return path;
  }

  #remove(name: string): void {
    try {
      Deno.removeSync(join(this.#dir, name));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}
