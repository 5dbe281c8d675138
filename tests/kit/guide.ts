/**
 * Walks through a guide as a reader would, from an empty directory.
 *
 * | block of the guide                     | what is done                                             |
 * | -------------------------------------- | -------------------------------------------------------- |
 * | its first line is a comment with a path | the file is written                                      |
 * | `sh`: a line                           | is run by a shell, and must end with 0                   |
 * | `sh`: a comment after it               | must stand in what the line said; `…` for what varies    |
 * | `text`                                 | nothing: it only shows                                   |
 * | anything else                          | an error: nobody would know where it belongs             |
 *
 * Invariants: nothing of the guide is skipped. Addresses and ports of the guide are free ones here; the
 * daemon's own places lie in the test's directory; everything else is as it stands there.
 */

import { assert } from "@std/assert";
import { join } from "@std/path";
import { run } from "../../scripts/lib/run.ts";
import { type Block, blocksOf, PAGES, ROOT } from "../unit/docs/pages.ts";
import { type Daemon, startDaemon, supervisor } from "./daemon.ts";
import { killLeftovers } from "./leftovers.ts";
import { onPath } from "./on_path.ts";
import { freePort, freeRange } from "./ports.ts";
import { until } from "./wait.ts";

/** A line takes no longer, milliseconds. */
const LIMIT = 60_000;

/** What a machine has besides an empty directory, and this repository as `~/supervisor`. */
export interface Machine {
  /** Why the guide cannot be walked through here. */
  trouble?: string;
  /** Programs that stand in for those that a test must not touch; `$AT` is the test's directory. */
  programs?: Record<string, string>;
  /** Absolute paths of the guide that lie below the test's directory here. */
  places?: string[];
  /** Added to PATH. */
  path?: string;
}

/** One thing to do. */
export type Step =
  | { kind: "write"; file: string; text: string; line: number }
  | { kind: "run"; command: string; said: string[]; line: number };

/** The steps of a page, in its order. @throws Error when a block belongs nowhere */
export function stepsOf(blocks: readonly Block[]): Step[] {
  return blocks.filter(({ language }) => language !== "text").flatMap((block) => {
    const { language, text, line, page } = block;
    if (language === "sh") return commandsOf(block);
    const file = /^(?:<\?php )?(?:#|\/\/|;) (\S+)\n/.exec(text)?.[1];
    if (file === undefined) {
      throw new Error(`${page}:${line}: this block does not say which file it is`);
    }
    return [{ kind: "write" as const, file, text, line }];
  });
}

function commandsOf({ text, line: first, page }: Block): Step[] {
  const steps: Extract<Step, { kind: "run" }>[] = [];
  text.split("\n").forEach((words, index) => {
    const line = first + 1 + index;
    if (words === "") return;
    if (!words.startsWith("#")) steps.push({ kind: "run", command: words, said: [], line });
    else if (steps.length === 0) {
      throw new Error(`${page}:${line}: what is said comes after a command`);
    } else steps.at(-1)!.said.push(words.slice(1).trim());
  });
  return steps;
}

/** Whether a text has the words in it, from the beginning of one, with anything for `…`. */
export function says(text: string, words: string): boolean {
  const pattern = words.split("…").map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`(?<!\\w)${pattern.join(".*")}`).test(text);
}

/** A guide as a test. */
export function guideTest(page: string, machine: Machine = {}): void {
  const name = `docs/guides/${page}.md`;
  if (machine.trouble !== undefined) {
    Deno.test.ignore(`${name} (${machine.trouble})`, () => {});
    return;
  }
  Deno.test(`${name}: walked through from an empty directory`, async () => {
    const found = PAGES.find((one) => one.name === name);
    assert(found !== undefined, `there is no ${name}`);
    const steps = stepsOf(blocksOf(found));
    assert(steps.some(({ kind }) => kind === "run"), `${name} has nothing to do`);
    await using d = await startDaemon({ start: false, config: "" }, `guide-${page}.log`);
    const reader = new Reader(d, machine, steps);
    try {
      for (const step of steps) await reader.take(step);
    } catch (error) {
      // Whoever stopped in the middle of a guide has not read how its programs are stopped.
      await until("the end of what it started", () => {
        killLeftovers(d.leftovers());
        return d.leftovers().length === 0;
      });
      throw error;
    }
  });
}

/** Somebody who does what a guide says. */
class Reader {
  readonly #daemon: Daemon;
  readonly #dir: string;
  readonly #env: Record<string, string>;
  /** What is called otherwise here. */
  readonly #here: [pattern: RegExp, by: string][];

  constructor(daemon: Daemon, { programs = {}, places = [], path }: Machine, steps: Step[]) {
    this.#daemon = daemon;
    this.#dir = daemon.path("guide");
    for (
      const dir of [
        this.#dir,
        daemon.path("home"),
        ...places.map((place) => daemon.path(place)),
      ]
    ) {
      Deno.mkdirSync(dir, { recursive: true });
    }
    Deno.symlinkSync(ROOT, daemon.path("home/supervisor"));
    const ours = [
      ...["-o", `state_dir=${daemon.path("state")}`],
      ...["-o", `control.socket=${daemon.socket}`],
    ];
    const { env } = daemon.command();
    const bin = onPath(daemon.path("bin"), supervisor());
    // Its own places come after what the reader typed.
    daemon.write(
      "bin/supervisor",
      daemon.read("bin/supervisor")!.trimEnd() + ` ${ours.join(" ")}\n`,
      0o755,
    );
    for (const [name, script] of Object.entries(programs)) {
      daemon.write(`bin/${name}`, `#!/bin/bash\n${script}\n`, 0o755);
    }
    this.#env = {
      ...env,
      AT: daemon.dir,
      HOME: daemon.path("home"),
      PATH: path === undefined ? bin : bin.replace(":", `:${path}:`),
    };
    this.#here = [
      ...portsHere(steps),
      ...places.map((place): [RegExp, string] => [
        new RegExp(`(?<![\\w/])${place}(?=/|\\s|$|;)`, "gm"),
        daemon.path(place),
      ]),
    ];
  }

  /** Does one thing. */
  async take(step: Step): Promise<void> {
    if (step.kind === "write") {
      const file = this.#translate(step.file);
      this.#daemon.write(
        file.startsWith("/") ? file.slice(this.#daemon.dir.length) : join("guide", file),
        this.#translate(step.text),
      );
      return;
    }
    const command = this.#translate(step.command);
    const { code, stdout, stderr, cut } = await run(["bash", "-o", "pipefail", "-c", command], {
      cwd: this.#dir,
      env: this.#env,
      limit: LIMIT,
    });
    const told = `line ${step.line}: ${step.command}\n${stdout}${stderr}`;
    assert(!cut, `it goes on for ever: ${told}`);
    assert(code === 0, `it ended with ${code}: ${told}${this.#daemon.output().slice(-3000)}`);
    for (const words of step.said) {
      assert(says(stdout + stderr, this.#translate(words)), `it does not say "${words}": ${told}`);
    }
  }

  #translate(text: string): string {
    return this.#here.reduce((all, [pattern, by]) => all.replaceAll(pattern, by), text);
  }
}

/** A free port for each that a guide listens on, a free range for each range. */
function portsHere(steps: Step[]): [RegExp, string][] {
  const text = steps.map((step) => step.kind === "write" ? step.text : step.command).join("\n");
  const ranges = [...new Set([...text.matchAll(/\b(\d{5}-\d{5})\b/g)].map(([, range]) => range))];
  const ports = [
    ...new Set(
      [...text.matchAll(
        /(?:\b127\.0\.0\.1|localhost|0\.0\.0\.0):(\d{2,5})\b|\b(?:PORT|port)[:=]? ?(\d{4,5})\b(?!-)/g,
      )].map(([, a, b]) => a ?? b),
    ),
  ];
  return [
    ...ranges.map((range): [RegExp, string] => [new RegExp(`\\b${range}\\b`, "g"), freeRange(20)]),
    ...ports.map((
      port,
    ): [RegExp, string] => [new RegExp(`\\b${port}\\b(?!-)`, "g"), `${freePort()}`]),
  ];
}
