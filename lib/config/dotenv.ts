/**
 * `--dotenv FILE`: lines `KEY=value` that add to the environment.
 *
 * | line                | value                                                   |
 * | ------------------- | ------------------------------------------------------- |
 * | `KEY=a b  # note`   | `a b`: trimmed, a comment after white space is dropped  |
 * | `KEY='a # $b'`      | as it stands                                            |
 * | `KEY="a\n\"b\""`    | with \n \r \t \" \\ \$ replaced                         |
 * | `export KEY=value`  | as without `export`                                     |
 *
 * Invariant: every line is understood or reported; nothing is expanded, and no value of this file
 * ever appears in a message.
 */

import { Exit, Failure } from "../core/failure.ts";
import { readText } from "./file.ts";
import { type Problem, renderProblems } from "./problem.ts";
import type { Source } from "./tree.ts";

const LINE = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*=\s*(.*?)\s*$/;
const QUOTED = /^(?:"((?:[^"\\]|\\.)*)"|'([^']*)')\s*(?:#.*)?$/;
const ESCAPES: Record<string, string> = { n: "\n", r: "\r", t: "\t" };

/** The variables of a text; lines that are none are reported. */
export function parseDotenv(source: Source): { vars: Record<string, string>; problems: Problem[] } {
  const vars: Record<string, string> = Object.create(null);
  const problems: Problem[] = [];
  let offset = 0;
  for (const line of source.text.split("\n")) {
    const at = { source, offset, length: Math.max(1, line.trimEnd().length) };
    offset += line.length + 1;
    if (/^\s*(?:#|$)/.test(line)) continue;
    const complain = (message: string, fix: string) =>
      problems.push({ severity: "error", path: [], at, message, fix });
    const match = LINE.exec(line);
    if (match === null) {
      complain("this is not of the form KEY=value", "write KEY=value, or # before a comment");
      continue;
    }
    const [, name, written] = match;
    const value = unquote(written);
    if (value === undefined) complain(`the quotes of ${name} do not match`, "close the quote");
    else vars[name] = value;
  }
  return { vars, problems };
}

function unquote(written: string): string | undefined {
  if (!/^["']/.test(written)) return written.replace(/(?:^|\s+)#.*$/, "");
  const match = QUOTED.exec(written);
  if (match === null) return undefined;
  const [, double, single] = match;
  return single ?? double.replace(/\\(.)/g, (_, c: string) => ESCAPES[c] ?? c);
}

/** What a dotenv file holds, or why it cannot be used. */
export function loadDotenv(file: string): { vars: Record<string, string>; problems: Problem[] } {
  const read = readText(file);
  if ("source" in read) return parseDotenv(read.source);
  const source: Source = { kind: "file", name: file, dir: "", text: "", order: 0 };
  const at = { source, offset: 0, length: 0 };
  const message = `--dotenv: ${read.message}`;
  return {
    vars: {},
    problems: [{ severity: "error", path: [], at, message, fix: read.fix }],
  };
}

/**
 * The variables of a dotenv file, for giving them to children too.
 *
 * @throws Failure (exit 3) when the file cannot be read or understood
 */
export async function readDotenv(file: string): Promise<Record<string, string>> {
  const { vars, problems } = loadDotenv(file);
  if (problems.length === 0) return vars;
  const { locate } = await import("./locate.ts");
  throw new Failure(renderProblems(locate(problems, undefined)), { exit: Exit.config });
}
