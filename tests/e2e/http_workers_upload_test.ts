/** Uploaded files: there while a worker has the request, its user's, and gone however it ends. */

import { assertEquals, assertMatch } from "@std/assert";
import type { Daemon } from "../kit/daemon.ts";
import { Fifo } from "../kit/gate.ts";
import {
  ask,
  httpTest,
  route,
  sendRequest,
  type Site,
  type SiteOptions,
} from "../kit/http_workers.ts";
import { until } from "../kit/wait.ts";

const NOBODY = 65534;
const isRoot = Deno.uid() === 0;
const MULTIPART = ["Content-Type: multipart/form-data; boundary=B"];

/** Workers of another user, where that is possible; uploads in a directory of the test. */
function options(dir: string): SiteOptions {
  const uploads = `${dir}/uploads`;
  Deno.mkdirSync(uploads, { recursive: true });
  Deno.chmodSync(uploads, 0o777);
  return {
    server: isRoot ? { user: "nobody" } : {},
    http: { uploads: { dir: uploads, forbid: [".php"] } },
  };
}

/** One part of a form. */
function part(disposition: string, content: string, type?: string): string {
  const fields = [`Content-Disposition: form-data; ${disposition}`];
  if (type !== undefined) fields.push(`Content-Type: ${type}`);
  return `--B\r\n${fields.join("\r\n")}\r\n\r\n${content}\r\n`;
}

const FILE = part('name="f"; filename="a.txt"', "hello", "text/plain") + "--B--\r\n";

function files(daemon: Daemon): string[] {
  return [...Deno.readDirSync(daemon.path("uploads"))].map(({ name }) => name);
}

async function gone({ daemon }: Site): Promise<void> {
  await until("no upload is left", () => files(daemon).length === 0);
}

httpTest("trees of fields and files", options, async (site) => {
  const body = part('name="k[a]"', "v") +
    part('name="docs[]"; filename="../../etc/passwd"', "one", "text/plain") +
    part('name="docs[]"; filename="zwei ü.txt"', "zwei") +
    part('name="evil"; filename="shell.PHP"', "<?php") +
    part('name="none"; filename=""', "") + "--B--\r\n";
  const answer = await site.ask("POST /upload", MULTIPART, latin1(body));
  const { fields, uploads, files } = JSON.parse(answer.body);
  assertEquals(fields, { k: { a: "v" } });
  const shape = (one: Record<string, unknown>) => [one.name, one.mime, one.size, one.error];
  assertEquals(uploads.docs.map(shape), [
    ["passwd", "text/plain", 3, 0],
    ["zwei ü.txt", uploads.docs[1].mime, 4, 0],
  ]);
  assertEquals([shape(uploads.evil)[3], uploads.evil.tmpName], [8, ""]);
  assertEquals([uploads.none.error, uploads.none.tmpName], [4, ""]);
  // deno-lint-ignore no-explicit-any -- JSON of the fixture
  assertEquals(files.map(({ text, mode }: any) => [text, mode]), [["one", "0600"], [
    "zwei",
    "0600",
  ]]);
  for (const { uid, path } of files) {
    assertEquals(uid, isRoot ? NOBODY : Deno.uid());
    assertMatch(path, /\/uploads\/supervisor-upload-/);
  }
  await gone(site);
});

httpTest("a file that its worker moved stays", options, async (site) => {
  const kept = site.daemon.path("uploads", "kept");
  await site.ask(`POST ${route("/upload", { move: kept })}`, MULTIPART, FILE);
  assertEquals(Deno.readTextFileSync(kept), "hello");
  assertEquals(files(site.daemon), ["kept"]);
});

httpTest("gone when the worker dies over it", options, async (site) => {
  const { gate, told, query } = gates(site.daemon);
  await using _ = gate;
  await using __ = told;
  using client = await site.connect();
  await sendRequest(client, `POST ${route("/upload", { ...query, end: "kill" })}`, MULTIPART, FILE);
  assertEquals(Deno.readTextFileSync(await told.line()), "hello");
  gate.release();
  assertEquals((await client.message()).status, 502);
  await gone(site);
  assertEquals((await ask(client, "GET /")).body, "ok");
});

httpTest("there until the worker is done, also when the client has left", options, async (site) => {
  const { gate, told, query } = gates(site.daemon);
  await using _ = gate;
  await using __ = told;
  const client = await site.connect();
  // The 100 is never read: closing is a reset then, which is seen at once.
  const fields = [...MULTIPART, "Expect: 100-continue"];
  await sendRequest(client, `POST ${route("/upload", query)}`, fields, FILE);
  const path = await told.line();
  client.close();
  // Whoever comes later is answered later: by then the daemon knows that the first has left.
  assertEquals((await site.ask("POST /", MULTIPART, "no form")).status, 400);
  assertEquals(Deno.readTextFileSync(path), "hello");
  gate.release();
  await gone(site);
  assertEquals((await site.ask("GET /")).body, "ok");
});

httpTest(
  "gone when the client leaves in the middle of it; no worker was asked",
  options,
  async (site) => {
    const client = await site.connect();
    const length = `Content-Length: ${FILE.length}`;
    await client.request("POST /upload HTTP/1.1", "Host: h", ...MULTIPART, length);
    await client.send(FILE.slice(0, -10));
    await until("the file is there", () => files(site.daemon).length === 1);
    client.close();
    await gone(site);
    const { workers } = (await site.daemon.ok("workers", "--json")).json();
    assertEquals(workers[0].jobs, 0);
  },
);

httpTest("a broken form is the client's fault, and leaves nothing", options, async (site) => {
  for (const body of [FILE.slice(0, -6), "no form"]) {
    assertEquals((await site.ask("POST /upload", MULTIPART, body)).status, 400, body);
  }
  const nothing = await site.ask("POST /upload", MULTIPART, "--B\r\nnonsense\r\n--B--\r\n");
  assertEquals(JSON.parse(nothing.body), { fields: {}, uploads: null, files: [] });
  await gone(site);
});

function gates(daemon: Daemon) {
  const gate = new Fifo(daemon.path("gate"));
  const told = new Fifo(daemon.path("told"));
  return { gate, told, query: { gate: gate.path, told: told.path } };
}

/** UTF-8 as the raw client sends it: a character for each byte. */
function latin1(text: string): string {
  return String.fromCharCode(...new TextEncoder().encode(text));
}
