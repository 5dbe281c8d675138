/** What completion asks the program: where the daemon of an unfinished line is, and its names. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { NAMES, whereabouts } from "../../../lib/cli/commands/names.ts";
import { Scratch } from "../../kit/scratch.ts";
import { supervisor } from "./kit.ts";

const LINES: [line: string, where: string[]][] = [
  ["restart --process we", []],
  ["-c a.yaml restart --process we", ["--config", "a.yaml"]],
  ["restart --config = a.yaml --process we", ["--config", "a.yaml"]],
  ["--config=a.yaml --socket s -o a.b=1 --json -w /", [
    ...["--config=a.yaml", "--socket", "s", "--override", "a.b=1", "--workdir", "/"],
  ]],
  ["restart --config", []],
  ["restart --config =", []],
];

for (const [line, where] of LINES) {
  Deno.test(`where the daemon is, by the line: ${line}`, () => {
    assertEquals(whereabouts(line.split(" ")), where);
  });
}

Deno.test("without a daemon there are no names, and the exit code says so", async () => {
  using scratch = new Scratch();
  const none = await supervisor([NAMES, "process"], { cwd: scratch.dir });
  assertEquals([none.code, none.stdout], [3, ""]);
  const line = `restart\n--socket\n${scratch.path("x.sock")}\n--process\n`;
  const gone = await supervisor([NAMES, "process", "--", line], { cwd: scratch.dir });
  assertEquals([gone.code, gone.stdout], [4, ""]);
});

Deno.test("a daemon that accepts and does not answer is not waited for", async () => {
  using scratch = new Scratch();
  const path = scratch.path("dead.sock");
  using _ = Deno.listen({ transport: "unix", path });
  const line = `--socket\n${path}\nrestart`;
  const { code, stdout, stderr } = await supervisor([NAMES, "process", "--", line]);
  assertEquals([code, stdout], [1, ""]);
  assertStringIncludes(stderr, "did not answer within 1000 ms");
});
