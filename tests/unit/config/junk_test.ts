/** Whatever the file holds, reading it ends in diagnostics: nothing is thrown, nothing hangs. */

import { assert, assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { read, readIdentity, renderProblems } from "../../../lib/config/mod.ts";
import { Failure } from "../../../lib/core/failure.ts";
import { sections } from "../../../plugins/registry.ts";
import { forSeeds, type Random } from "../../kit/random.ts";
import { Scratch } from "../../kit/scratch.ts";

const GOLDEN = fromFileUrl(new URL("golden", import.meta.url));
const SAMPLES = [...Deno.readDirSync(GOLDEN)].map(({ name }) => name)
  .filter((name) => name.endsWith(".in")).sort()
  .map((name) => new TextDecoder("latin1").decode(Deno.readFileSync(join(GOLDEN, name))));
const VALID = ["valid_everything.in", "rr_full.in"]
  .map((name) => Deno.readTextFileSync(join(GOLDEN, name)));

/** Pieces that mean something to YAML, to expansion, to templates or to the schema. */
const PIECES = [
  ..."{}[],:#&*!|>'\"%@`-?~ \n\t$<=",
  "\n  ",
  "\n    ",
  ": ",
  "- ",
  "? ",
  "<<: ",
  "*a",
  "&a ",
  "!!str ",
  "${",
  "}",
  "${A}",
  "${A:-",
  "{{",
  "}}",
  "{{port}}",
  "---\n",
  "...\n",
  "|\n",
  ">-\n",
  "\r\n",
  "\u0000",
  "\uFEFF",
  "\u2028",
  "é",
  "😀",
  "null",
  "true",
  "0660",
  "1e999",
  "-0",
  ".nan",
  "__proto__",
  "constructor",
  "toString",
  "processes",
  "proxy",
  "web",
  "command",
  "port",
  "health",
  "depends_on",
  "include",
  "http",
  "pool",
  "env",
  "service",
  "tcp://",
  "unix://",
  "0-70000",
  "60",
  "1h",
];

function junk(random: Random): string {
  if (random.chance(0.3)) {
    return Array.from({ length: random.int(0, 60) }, () => random.pick(PIECES)).join("");
  }
  // A real file with a few wounds.
  let text = random.pick(random.chance(0.5) ? VALID : SAMPLES);
  for (let i = random.int(1, 6); i > 0; i--) {
    const at = random.int(0, text.length);
    const cut = random.chance(0.5) ? random.int(0, 30) : 0;
    text = text.slice(0, at) + (random.chance(0.7) ? random.pick(PIECES) : "") +
      text.slice(at + cut);
  }
  return text;
}

Deno.test("junk ends in diagnostics", async () => {
  using scratch = new Scratch();
  const file = join(scratch.dir, "supervisor.yaml");
  await forSeeds(400, async (random) => {
    Deno.writeTextFileSync(file, junk(random));
    const overrides = random.chance(0.3)
      ? [Array.from({ length: random.int(0, 6) }, () => random.pick(PIECES)).join("")]
      : [];
    const env = { A: random.pick(PIECES) };
    const { config, problems } = await read({ file, env, overrides }, sections());
    assertEquals(config === undefined, problems.some(({ severity }) => severity === "error"));
    for (const { line, column, width, source_line, message, fix } of problems) {
      assert(message !== "" && fix !== "", "says what and what to do");
      assert(
        !/\bundefined\b|\[object|NaN/.test(`${message} ${fix}`.replace(/"[^"]*"/g, "")),
        message,
      );
      if (line === 0) continue;
      assert(column >= 1 && column <= source_line.length + 1, `column ${column} of ${source_line}`);
      assert(width >= 1);
    }
    const rendered = renderProblems(problems);
    // deno-lint-ignore no-control-regex
    assert(!/[\x00-\x08\x0b-\x1f\x7f]/.test(rendered), "no control characters reach a terminal");
  });
});

Deno.test("identity of junk: an answer, or a Failure with exit 3", async () => {
  using scratch = new Scratch();
  const file = join(scratch.dir, "supervisor.yaml");
  await forSeeds(200, async (random) => {
    Deno.writeTextFileSync(file, junk(random));
    try {
      const { application } = await readIdentity({ file, env: { A: "a" } });
      assert(/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(application), application);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      assertEquals(error.exit, 3);
    }
  });
});
