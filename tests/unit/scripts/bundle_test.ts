/** Bundles of the program: what is loaded later, and packages that would lose their names. */

import { assertEquals, assertRejects } from "@std/assert";
import { basename, join } from "@std/path";
import { bundle } from "../../../scripts/lib/bundle.ts";
import { CACHE } from "../../../scripts/lib/project.ts";

/** A directory where packages are found as in the program. */
function place() {
  Deno.mkdirSync(CACHE, { recursive: true });
  const dir = Deno.makeTempDirSync({ dir: CACHE, prefix: "bundle-test-" });
  return { dir, [Symbol.dispose]: () => Deno.removeSync(dir, { recursive: true }) };
}

Deno.test("what is loaded later is a file of its own", async () => {
  using home = place();
  const { dir } = home;
  const entry = join(dir, "entry.ts");
  Deno.writeTextFileSync(entry, `console.log((await import("./later.ts")).word);`);
  Deno.writeTextFileSync(join(dir, "later.ts"), `export const word = "said later";`);
  const [first, ...more] = await bundle(entry, join(dir, "out"));
  assertEquals(basename(first), "entry.js");
  const has = (file: string) => Deno.readTextFileSync(file).includes("said later");
  assertEquals([has(first), more.map(has)], [false, [true]]);
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-config", first],
  }).output();
  assertEquals(new TextDecoder().decode(stdout), "said later\n");
});

Deno.test("a package in CommonJS form that is loaded later itself is refused", async () => {
  using home = place();
  const entry = join(home.dir, "entry.ts");
  Deno.writeTextFileSync(entry, `new (await import("prom-client")).Registry();`);
  await assertRejects(
    () => bundle(entry, join(home.dir, "out")),
    Error,
    "packages in CommonJS form are loaded with import(",
  );
});
