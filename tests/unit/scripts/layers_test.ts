/** Each rule of the floors, broken and kept. */

import { assert, assertEquals } from "@std/assert";
import { checkLayers } from "../../../scripts/lib/layers.ts";

/** What is found in files given as path → code; each gets the comment it must begin with. */
function check(files: Record<string, string>): string[] {
  const map = new Map(
    Object.entries(files).map(([file, code]) => [file, `/** For a test. */\n${code}`]),
  );
  return checkLayers(map).map(({ file, line, text }) => `${file}:${line}: ${text}`);
}

/** Asserts exactly one finding that begins like this. */
function broken(files: Record<string, string>, beginning: string): void {
  const found = check(files);
  assertEquals(found.length, 1, found.join("\n") || "nothing found");
  assert(found[0].startsWith(beginning), found[0]);
}

Deno.test("imports go down or stay on the floor", () => {
  assertEquals(
    check({
      "main.ts": `import { a } from "./lib/cli/a.ts";`,
      "lib/cli/a.ts": `import { b } from "./b.ts"; import { c } from "../core/c.ts";`,
      "lib/cli/b.ts": "",
      "lib/core/c.ts": "",
    }),
    [],
  );
  broken(
    { "lib/core/c.ts": `\nimport { b } from "../os/b.ts";`, "lib/os/b.ts": "" },
    "lib/core/c.ts:3: imports lib/os/b.ts: lib/os lies above lib/core",
  );
  broken({ "lib/os/b.ts": `const x = await import("../cli/y.ts");` }, "lib/os/b.ts:2: imports");
});

Deno.test("a type-only import counts for floors, but not for circles", () => {
  broken(
    { "lib/core/c.ts": `import type { B } from "../os/b.ts";`, "lib/os/b.ts": "" },
    "lib/core/c.ts:2",
  );
  const circle = (second: string) => ({
    "lib/os/a.ts": `import { b } from "./b.ts";`,
    "lib/os/b.ts": second,
  });
  assertEquals(check(circle(`import type { A } from "./a.ts";`)), []);
  broken(
    circle(`import { a } from "./a.ts";`),
    "lib/os/b.ts:2: imports itself in a circle: lib/os/b.ts → lib/os/a.ts → lib/os/b.ts",
  );
});

Deno.test("a long circle is found once", () => {
  broken(
    {
      "lib/os/a.ts": `export * from "./b.ts";`,
      "lib/os/b.ts": `import "./c.ts";`,
      "lib/os/c.ts": `import { a } from "./a.ts";`,
      "lib/os/d.ts": `import { a } from "./a.ts";`,
    },
    "lib/os/c.ts:2: imports itself in a circle: lib/os/c.ts → lib/os/a.ts → lib/os/b.ts → lib/os/c.ts",
  );
});

Deno.test("plugins know the plugin contract, not each other and not the registry", () => {
  assertEquals(
    check({
      "plugins/registry.ts": `import { a } from "./http/a.ts"; import { b } from "./tcp/b.ts";`,
      "plugins/http/a.ts": `import { P } from "../plugin.ts"; import { x } from "./x.ts";`,
      "plugins/http/x.ts": "",
      "plugins/tcp/b.ts": "",
      "plugins/plugin.ts": "",
    }),
    [],
  );
  broken(
    { "plugins/http/a.ts": `import { b } from "../tcp/b.ts";` },
    "plugins/http/a.ts:2: imports",
  );
  broken({ "plugins/http/a.ts": `import { r } from "../registry.ts";` }, "plugins/http/a.ts:2");
});

Deno.test("the program is not made of scripts, tests, unmapped packages or unknown folders", () => {
  broken({ "lib/os/a.ts": `import { run } from "../../scripts/lib/run.ts";` }, "lib/os/a.ts:2");
  broken({ "lib/os/a.ts": `import { z } from "npm:zod@4";` }, 'lib/os/a.ts:2: imports "npm:zod@4"');
  broken({ "lib/util/a.ts": "" }, "lib/util/a.ts:1: stands on no floor");
  assertEquals(
    check({ "lib/os/a.ts": `import { z } from "zod"; import d from "../../deno.json";` }),
    [],
  );
});

for (
  const code of [
    "new Deno.Command('x')",
    "Deno.kill(1)",
    "Deno.addSignalListener('SIGHUP', f)",
    "Deno.dlopen('libc.so.6', {})",
    "setTimeout(f, 1)",
    "globalThis.setInterval(f, 1)",
    "Date.now()",
    "performance.now()",
    "new Date()",
    "AbortSignal.timeout(5)",
    "const path = '/proc/stat'",
    "const path = `/proc/${pid}/stat`",
    "import { spawn } from 'node:child_process'",
    "const { kill } = Deno",
  ]
) {
  Deno.test(`only lib/os may: ${code}`, () => {
    broken({ "lib/http/a.ts": code }, "lib/http/a.ts:2: uses");
    assertEquals(check({ "lib/os/a.ts": code }), []);
  });
}

Deno.test("names that only look like doors are free", () => {
  const code = `clock.setTimeout(f); const o = { setTimeout: 1 }; new Date(0); let d: Date;
    // setTimeout(f)
    const text = "Deno.kill and setTimeout and see /proc/1"; Deno.listen({ port: 0 });`;
  assertEquals(check({ "lib/http/a.ts": code }), []);
});

Deno.test("only lib/cli and lib/telemetry print", () => {
  for (const code of ["console.error(1)", "Deno.stdout.writeSync(x)"]) {
    broken({ "lib/daemon/a.ts": code }, "lib/daemon/a.ts:2: uses");
    assertEquals(check({ "lib/cli/a.ts": code, "lib/telemetry/b.ts": code }), []);
  }
});

Deno.test("lib/core knows no Deno, not even its types", () => {
  broken({ "lib/core/a.ts": "let s: Deno.Signal" }, "lib/core/a.ts:2: uses Deno: lib/core is pure");
});

Deno.test("a file begins with a comment and has 400 lines at most", () => {
  const shape = (text: string) =>
    checkLayers(new Map([["lib/os/a.ts", text]])).map(({ line }) => line);
  assertEquals(shape("export {};\n"), [1]);
  assertEquals(shape("// fine\n" + "x;\n".repeat(399)), []);
  assertEquals(shape("// fine\n" + "x;\n".repeat(400)), [401]);
});
