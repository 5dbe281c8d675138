/** The first configuration: by options, by answers at a terminal, from another program. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { Scratch } from "../../kit/scratch.ts";
import { PROGRAM, supervisor } from "./kit.ts";

async function valid(scratch: Scratch, file = "supervisor.yaml"): Promise<void> {
  const { code, stderr } = await supervisor(["validate", "-c", file], { cwd: scratch.dir });
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
}

Deno.test("init: by options, with the schema beside it", async () => {
  using scratch = new Scratch();
  const command = `PORT=$PORT \${RUN:-x} 'a' # "b": {c}`;
  const args = ["init", "--application", "123", "--command", command, "--address", ":0"];
  const { code, stdout, stderr } = await supervisor(args, { cwd: scratch.dir });
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
  assertEquals(
    stdout,
    `wrote ${scratch.path("supervisor.yaml")}\nwrote ${scratch.path("supervisor.schema.json")}\n`,
  );
  await valid(scratch);
  assertStringIncludes(
    scratch.read("supervisor.yaml")!,
    "# yaml-language-server: $schema=./supervisor.schema.json\n",
  );
  const schema = await supervisor(["schema", "--json"]);
  assertEquals(JSON.parse(scratch.read("supervisor.schema.json")!), JSON.parse(schema.stdout));
});

Deno.test("init: workers", async () => {
  using scratch = new Scratch();
  const args = ["init", "--kind", "workers", "--command", "php 'my worker.php' $X"];
  assertEquals((await supervisor(args, { cwd: scratch.dir })).code, 0);
  await valid(scratch);
});

Deno.test("init: from another program", async () => {
  using scratch = new Scratch();
  scratch.write("Procfile", "web: bin/web -p $PORT\nrelease: bin/migrate\n");
  const { code, stderr } = await supervisor(["init", "--from", "Procfile"], { cwd: scratch.dir });
  assertEquals(code, 0);
  assertStringIncludes(stderr, "line 2: runs once before a release");
  await valid(scratch);
});

Deno.test("init never overwrites, and leaves nothing behind when it fails", async () => {
  using scratch = new Scratch();
  const file = scratch.write("supervisor.yaml", "mine\n");
  const run = (...args: string[]) =>
    supervisor(["init", "--command", "x", ...args], { cwd: scratch.dir });
  const taken = await run();
  assertEquals(taken.code, 1);
  assertStringIncludes(taken.stderr, `"${file}" is there already`);
  Deno.symlinkSync("nowhere", scratch.path("link.yaml"));
  assertEquals((await run("-c", "link.yaml")).code, 1);
  assertEquals((await run("-c", "no/such/dir.yaml")).code, 1);
  assertEquals((await run("-c", "new.yaml", "--from", "gone")).code, 3);
  assertEquals((await run("-c", "new.yaml", "--address", "nowhere:x")).code, 2);
  assertEquals((await run("-c", "new.yaml", "--health", "ping")).code, 2);
  assertEquals((await run("-c", "new.yaml", "--kind", "lambda")).code, 2);
  assertEquals((await run("-c", "new.yaml", "--command", "a\nb")).code, 2);
  assertEquals(scratch.read("supervisor.yaml"), "mine\n");
  const names = [...Deno.readDirSync(scratch.dir)].map(({ name }) => name).sort();
  assertEquals(names, ["link.yaml", "supervisor.yaml"]);
});

Deno.test("init with nobody to ask says what it needs", async () => {
  using scratch = new Scratch();
  const { code, stderr } = await supervisor(["init"], { cwd: scratch.dir });
  assertEquals(code, 2);
  assertStringIncludes(stderr, "--command COMMAND, or --from FILE");
});

/** Answers at a terminal (script(1) makes one). */
async function answered(scratch: Scratch, input: string) {
  const words = [...PROGRAM, "init"].map((word) => `'${word}'`).join(" ");
  const child = new Deno.Command("script", {
    args: ["-qec", words, "/dev/null"],
    cwd: scratch.dir,
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { code, stdout } = await child.output();
  return { code, text: new TextDecoder().decode(stdout) };
}

Deno.test("init asks at a terminal, and again after an answer that cannot be", async () => {
  using scratch = new Scratch();
  const { code, text } = await answered(
    scratch,
    "lambda\nprogram\nshop\n\nnode server.js\nnowhere:x\n:8080\nping\n/up\n",
  );
  assertEquals(code, 0, text);
  assertStringIncludes(text, "must be one of program, workers");
  assertStringIncludes(text, "must begin with /");
  await valid(scratch);
  const written = scratch.read("supervisor.yaml")!;
  for (const part of ["application: shop", "command: node server.js", ":8080", "path: /up"]) {
    assertStringIncludes(written, part);
  }
});

Deno.test("init writes nothing when the answers end", async () => {
  using scratch = new Scratch();
  // Ctrl-D at the terminal.
  const { code } = await answered(scratch, "program\n\x04\x04");
  assertEquals(code, 2);
  assertEquals(scratch.read("supervisor.yaml"), undefined);
});
