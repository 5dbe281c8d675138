/**
 * The inner side of evaluating somebody's JavaScript: in a process of its own that first gives up
 * what a configuration has no business with.
 *
 * An ES module is loaded by `import()`, so that its own imports of files beside it work; CommonJS by a
 * function around it, whose `require` knows `path` and `url` and nothing else.
 *
 * Invariant: no line of the file runs before the permissions are gone; what comes back is JSON.
 */

import * as path from "node:path";
import * as url from "node:url";
import { toFileUrl } from "@std/path";
import { messageOf } from "../../core/failure.ts";

/** Begins the one line of the answer. */
export const ANSWER = "\u0001supervisor:";

const GIVEN_UP = ["write", "net", "run", "ffi", "env", "sys"] as const;

/** What a configuration may ask for: pure functions. */
const MODULES: Record<string, unknown> = {
  path,
  "node:path": path,
  url,
  "node:url": url,
};

/** The file's value, or a clause that says why there is none. */
export type Answer = { value: unknown } | { problem: string; fix: string };

/** Loads the file at an absolute path and tells its value. @returns the line to print */
export async function evaluated(file: string): Promise<string> {
  for (const name of GIVEN_UP) Deno.permissions.revokeSync({ name });
  let answer: string;
  try {
    const value = await settled(await load(file, Deno.readTextFileSync(file)));
    answer = value === undefined
      ? JSON.stringify(refusal("exports nothing", "export the configuration by default"))
      : JSON.stringify({ value });
  } catch (error) {
    answer = JSON.stringify(explained(error));
  }
  return `\n${ANSWER}${answer}\n`;
}

/** A configuration may be a function that makes it. */
async function settled(exported: unknown): Promise<unknown> {
  return await (typeof exported === "function" ? exported() : exported);
}

async function load(file: string, text: string): Promise<unknown> {
  const common = file.endsWith(".mjs") ? undefined : wrapped(file, text);
  if (common !== undefined) return common();
  const module = await import(toFileUrl(file).href);
  return module.default;
}

/** The file as CommonJS; undefined: it is an ES module. */
function wrapped(file: string, text: string): (() => unknown) | undefined {
  let run: (...args: unknown[]) => void;
  try {
    const names = ["exports", "require", "module", "__filename", "__dirname"];
    run = new Function(...names, text.replace(/^#!.*/, "")) as typeof run;
  } catch (error) {
    if (
      file.endsWith(".cjs") || !/^\s*(?:import|export)\b|\bawait\b|\bimport\.meta\b/m.test(text)
    ) {
      throw error;
    }
    return undefined;
  }
  return () => {
    const module = { exports: {} as unknown };
    run.call(module.exports, module.exports, require, module, file, path.dirname(file));
    const { exports } = module;
    return isModule(exports) ? exports.default : exports;
  };
}

function isModule(exports: unknown): exports is { default: unknown } {
  return typeof exports === "object" && exports !== null && "__esModule" in exports;
}

/** What the file itself did wrong, said by us. */
class Refused extends Error {
  constructor(readonly problem: string, readonly fix: string) {
    super(problem);
  }
}

function require(name: string): unknown {
  if (Object.hasOwn(MODULES, name)) return MODULES[name];
  throw new Refused(
    `requires ${JSON.stringify(name)}, and other files and packages are not loaded`,
    "write what it needs into the file, or import a copy that has it written out",
  );
}

function explained(error: unknown): Answer {
  if (error instanceof Refused) return refusal(error.problem, error.fix);
  const message = messageOf(error).split("\n")[0];
  if (error instanceof Deno.errors.NotCapable) {
    const what = message.replace(/^Requires /, "").replace(
      /, (?:run again|specify the required).*/,
      "",
    );
    return refusal(
      `wants ${what}, which it does not get while it is imported`,
      "write the value it needs into the file for the import",
    );
  }
  const name = error instanceof Error ? error.name : "it threw";
  return refusal(`cannot be evaluated: ${name}: ${message}`, "correct the file");
}

function refusal(problem: string, fix: string): Answer {
  return { problem, fix };
}
