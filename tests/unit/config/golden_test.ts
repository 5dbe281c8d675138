/**
 * Input file → exact text of the diagnostics, one pair of files per case in golden/.
 *
 * Inputs are named `.in` so that the formatter leaves their mistakes alone. First lines `#! env NAME=value`, `#! -o key=value`, `#! dotenv FILE` set up the request. A case
 * whose expected text is empty must be valid. `UPDATE_GOLDEN=1` rewrites the expected texts; read the
 * difference before you believe it.
 */

import { assert, assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { read, type ReadRequest, renderProblems } from "../../../lib/config/mod.ts";
import { sections } from "../../../plugins/registry.ts";

const DIR = fromFileUrl(new URL("golden", import.meta.url));

const cases = [...Deno.readDirSync(DIR)].map(({ name }) => name)
  .filter((name) => name.endsWith(".in")).sort();

function requestOf(file: string): ReadRequest {
  const env: Record<string, string> = {};
  const overrides: string[] = [];
  let dotenv: string | undefined;
  for (const [, directive, argument] of text(file).matchAll(/^#! (env|-o|dotenv) (.*)$/gm)) {
    const equals = argument.indexOf("=");
    if (directive === "env") env[argument.slice(0, equals)] = argument.slice(equals + 1);
    if (directive === "-o") overrides.push(argument);
    if (directive === "dotenv") dotenv = join(DIR, argument);
  }
  return { file, env, overrides, dotenv };
}

/** Latin-1, so that a file that is not UTF-8 can carry directives too. */
function text(file: string): string {
  return new TextDecoder("latin1").decode(Deno.readFileSync(file));
}

Deno.test("there are enough cases", () => assert(cases.length >= 40, `${cases.length} cases`));

for (const name of cases) {
  Deno.test(`golden: ${name}`, async () => {
    const file = join(DIR, name);
    const { config, problems } = await read(requestOf(file), sections());
    const shown = renderProblems(problems).replaceAll(`${DIR}/`, "");
    const actual = shown === "" ? "" : `${shown}\n`;
    const expected = file.replace(/in$/, "out");
    if (Deno.env.get("UPDATE_GOLDEN") === "1") Deno.writeTextFileSync(expected, actual);
    assertEquals(actual, Deno.readTextFileSync(expected));
    const failed = problems.some((problem) => problem.severity === "error");
    assertEquals(config === undefined, failed, "a config exactly when there is no error");
  });
}
