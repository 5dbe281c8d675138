/** Whole files of other programs, and what becomes of them: tests/fixtures/import/KIND/expected.txt. */

import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { importFile } from "../../../../lib/config/import/mod.ts";
import { read } from "../../../../lib/config/mod.ts";
import { realClock } from "../../../../lib/os/clock.ts";
import { sections } from "../../../../plugins/registry.ts";
import { Scratch } from "../../../kit/scratch.ts";
import { PROGRAM } from "../../cli/kit.ts";

const CASES: Record<string, string> = {
  rollbridge: "rollbridge.js",
  procfile: "Procfile",
  pm2: "ecosystem.config.cjs",
  pm2_json: "process.json",
  supervisord: "supervisord.conf",
  roadrunner: ".rr.yaml",
};

const env = { ...Deno.env.toObject(), WORKERS: "4" };

for (const [name, file] of Object.entries(CASES)) {
  Deno.test(`import: ${name}`, async () => {
    const dir = new URL(`../../../fixtures/import/${name}/`, import.meta.url);
    const { text } = await importFile({
      file: fromFileUrl(new URL(file, dir)),
      kind: undefined,
      sections: sections(),
      evaluator: { argv: [...PROGRAM, "__evaluate"], env, clock: realClock },
      head: [],
    });
    assertEquals(text, Deno.readTextFileSync(new URL("expected.txt", dir)));

    using scratch = new Scratch();
    const request = { file: scratch.write("supervisor.yaml", text), env };
    const { problems } = await read(request, sections());
    assertEquals(problems.filter(({ severity }) => severity === "error"), []);
  });
}
