/** Files that workers name. */

import { assertEquals } from "@std/assert";
import { Scratch } from "../../../../kit/scratch.ts";
import { answering, Site } from "./kit.ts";

function site(path: string, fields: [string, string][] = [], status = 200): Site {
  const head: [string, string][] = [["X-Sendfile", path], ["Content-Length", "7"], ...fields];
  return new Site({ middleware: ["sendfile"] }, answering("ignored", head, status));
}

Deno.test("sendfile: the content instead of the body, the worker's status and fields, not the name", async () => {
  using scratch = new Scratch();
  // Names are UTF-8, fields Latin-1.
  const path = scratch.write("r\u00e9sum\u00e9.pdf", "x".repeat(200_000));
  const onWire = String.fromCharCode(...new TextEncoder().encode(path));
  await using one = site(onWire, [["X-Other", "kept"]], 201);
  const answer = await one.ask("GET /");
  assertEquals([answer.status, answer.get("x-other"), answer.get("x-sendfile")], [
    201,
    "kept",
    undefined,
  ]);
  assertEquals([answer.get("content-type"), answer.get("content-length")], [
    "application/pdf",
    "200000",
  ]);
  assertEquals(answer.body.length, 200_000);
  const head = await one.ask("HEAD /");
  assertEquals(head.get("content-length"), "200000");
});

Deno.test("sendfile: the worker's type counts", async () => {
  using scratch = new Scratch();
  await using one = site(scratch.write("a.txt", "text"), [["Content-Type", "text/x-own"]]);
  const answer = await one.ask("GET /");
  assertEquals([answer.get("content-type"), answer.body], ["text/x-own", "text"]);
});

Deno.test("sendfile: what cannot be sent is 404 or 500, without the name, and told", async () => {
  using scratch = new Scratch();
  const fifo = scratch.path("fifo");
  new Deno.Command("mkfifo", { args: [fifo] }).outputSync();
  for (
    const [path, status] of [
      [scratch.path("missing.txt"), 404],
      [scratch.dir, 500],
      [fifo, 500],
      ["/dev/zero", 500],
    ] as const
  ) {
    await using one = site(path);
    const answer = await one.ask("GET /");
    assertEquals([answer.status, answer.body.includes(path)], [status, false]);
    const told = one.told.map(({ event, data }) => [event, (data as { path: string }).path]);
    assertEquals(told, [["sendfile_failed", path]]);
  }
});

Deno.test("sendfile: other answers pass as they are", async () => {
  await using one = new Site({ middleware: ["sendfile"] }, answering("plain"));
  assertEquals((await one.ask("GET /")).body, "plain");
});
