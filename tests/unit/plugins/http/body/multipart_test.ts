/** Multipart bodies: fields, files on disk, limits, and bodies that are broken or end too soon. */

import { assertEquals, assertRejects } from "@std/assert";
import { BodyBroken } from "../../../../../lib/http/mod.ts";
import { readTree } from "../../../../../plugins/http/body/mod.ts";
import { forSeeds } from "../../../../kit/random.ts";
import { Scratch } from "../../../../kit/scratch.ts";
import {
  hostWith,
  joined,
  MULTIPART,
  multipart,
  namesIn,
  PieceBody,
  rulesOf,
  textOf,
} from "./kit.ts";

Deno.test("fields make the tree, files go to disk, byte for byte", async () => {
  using scratch = new Scratch();
  const binary = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7 + (i >> 8)) & 255);
  const tricky = joined(["\r\n--X\r\n--XY", binary.subarray(0, 1000), "\r\n--"]);
  const bytes = multipart([
    { name: "10", content: "ü" },
    { name: "a[b][]", content: "1" },
    { name: "f", filename: "big.bin", type: "application/octet-stream", content: binary },
    { name: "9", content: "" },
    { name: "g[]", filename: "tricky.PNG", type: "image/png", content: tricky },
    { name: "g[]", filename: "empty.txt", type: "text/plain", content: "" },
    { content: "no name" },
    { filename: "nameless", content: "x" },
  ]);
  for (const size of [7, 100, 65_536]) {
    const host = hostWith();
    const form = await readTree(new PieceBody(bytes, size), MULTIPART, rulesOf(scratch.dir), host);
    assertEquals(textOf(form), `{"10":"ü","a":{"b":["1"]},"9":""}`);
    const at = (i: number) => scratch.path(`upload-${i}`);
    assertEquals(
      form.uploads,
      `{"f":{"name":"big.bin","mime":"application/octet-stream","size":300000,"error":0,` +
        `"tmpName":"${at(0)}"},"g":[` +
        `{"name":"tricky.PNG","mime":"image/png","size":${tricky.length},"error":0,"tmpName":"${
          at(1)
        }"},` +
        `{"name":"empty.txt","mime":"text/plain","size":0,"error":0,"tmpName":"${at(2)}"}]}`,
    );
    assertEquals(await Deno.readFile(at(0)), binary);
    assertEquals(await Deno.readFile(at(1)), tricky);
    assertEquals(await Deno.readFile(at(2)), new Uint8Array(0));
    assertEquals(Deno.statSync(at(0)).mode! & 0o777, 0o600);
    Deno.renameSync(at(1), scratch.path("kept")); // a worker moved it away
    await form.remove();
    await form.remove();
    assertEquals(namesIn(scratch.dir), ["kept"]);
    assertEquals(host.told, []);
    Deno.removeSync(scratch.path("kept"));
  }
});

Deno.test("the next window is pulled when the last is on disk", async () => {
  using scratch = new Scratch();
  const size = 10_000;
  const bytes = multipart([{ name: "f", filename: "f", content: new Uint8Array(1_000_000) }]);
  const body = new PieceBody(bytes, size);
  body.onPull = async (taken) => {
    if (taken === 0) return;
    const stored = (await Deno.stat(scratch.path("upload-0"))).size;
    if (taken - stored > 200 && taken < bytes.length) {
      throw new Error(`${stored} of ${taken} bytes are on disk`);
    }
  };
  const form = await readTree(body, MULTIPART, rulesOf(scratch.dir), hostWith());
  await form.remove();
});

Deno.test("forms without fields and files", async () => {
  using scratch = new Scratch();
  const body = new PieceBody(multipart([]));
  const form = await readTree(body, MULTIPART, rulesOf(scratch.dir), hostWith());
  assertEquals([textOf(form), form.uploads], ["{}", null]);
});

Deno.test("text in another charset never makes JSON that PHP cannot read", async () => {
  using scratch = new Scratch();
  const type = "text/plain; charset=utf-16le";
  const bytes = multipart([
    { name: "a", type, content: Uint8Array.of(0x00, 0xd8) },
    { name: "b", content: Uint8Array.of(0xff, 0x41) },
  ]);
  const form = await readTree(new PieceBody(bytes), MULTIPART, rulesOf(scratch.dir), hostWith());
  assertEquals(textOf(form), `{"a":"\\u0000\ufffd","b":"\ufffdA"}`);
});

Deno.test("broken forms are a 400, and leave nothing", async () => {
  using scratch = new Scratch();
  const file = { name: "f", filename: "f", content: "x".repeat(100_000) };
  const conflict = multipart([file, { name: "k", content: "1" }, { name: "k[a]", content: "2" }]);
  const cases: [string, Uint8Array][] = [
    [MULTIPART, multipart([file], "")],
    [MULTIPART, new Uint8Array(0)],
    [MULTIPART, new TextEncoder().encode("no form at all")],
    [MULTIPART, conflict],
    [MULTIPART, multipart([file, { ...file, name: "f[a]" }])],
    ["multipart/form-data", multipart([file])],
    [`multipart/form-data; boundary=${"x".repeat(300)}`, multipart([file])],
    ["text/plain, multipart/form-data; boundary=XX", multipart([file])],
  ];
  for (const [type, bytes] of cases) {
    const read = readTree(new PieceBody(bytes), type, rulesOf(scratch.dir), hostWith());
    const error = await assertRejects(() => read, BodyBroken);
    assertEquals(error.status, 400, error.message);
    assertEquals(namesIn(scratch.dir), []);
  }
});

Deno.test("what is beyond a limit is a 413, and leaves nothing", async () => {
  using scratch = new Scratch();
  const many = (count: number, filename?: string) =>
    multipart(Array.from({ length: count }, () => ({ name: "k", filename, content: "v" })));
  const large = multipart([{ name: "f", filename: "f", content: new Uint8Array(200_000) }]);
  const announced = new PieceBody(large);
  announced.onPull = () => {
    throw new Error("it was read nevertheless");
  };
  const cases: [string, PieceBody, number][] = [
    ["announced", announced, 100_000],
    ["not announced", new PieceBody(large, 16_384, -1), 100_000],
    ["10000 fields", new PieceBody(many(10_001)), 10_000_000],
    ["1000 files", new PieceBody(many(1_001, "f")), 10_000_000],
  ];
  for (const [text, body, max_request_size] of cases) {
    const rules = { ...rulesOf(scratch.dir), max_request_size };
    const error = await assertRejects(
      () => readTree(body, MULTIPART, rules, hostWith()),
      BodyBroken,
    );
    assertEquals(error.status, 413, text);
    assertEquals(namesIn(scratch.dir), [], text);
  }
});

Deno.test("fields are bounded also where requests may be larger", async () => {
  using scratch = new Scratch();
  const bytes = multipart([{ name: "k", content: new Uint8Array(64 * 1024 * 1024 + 1).fill(97) }]);
  const rules = { ...rulesOf(scratch.dir), max_request_size: 1e9 };
  const read = readTree(new PieceBody(bytes, 1_000_000), MULTIPART, rules, hostWith());
  const error = await assertRejects(() => read, BodyBroken, "fields are larger");
  assertEquals(error.status, 413);
});

Deno.test("a client that leaves in mid-upload leaves nothing", async () => {
  using scratch = new Scratch();
  const bytes = multipart([
    { name: "a", filename: "a", content: "x".repeat(1000) },
    { name: "b", filename: "b", content: "x".repeat(100_000) },
  ]);
  const body = new PieceBody(bytes, 4096);
  body.leaves = 50_000;
  let files = 0;
  body.onPull = () => {
    files = Math.max(files, namesIn(scratch.dir).length);
  };
  const read = readTree(body, MULTIPART, rulesOf(scratch.dir), hostWith());
  await assertRejects(() => read, BodyBroken, "inside a body");
  assertEquals(files, 2);
  assertEquals(namesIn(scratch.dir), []);
});

Deno.test("bodies of any damage end, and leave nothing but whole forms", async () => {
  using scratch = new Scratch();
  await forSeeds(400, async (random) => {
    const parts = Array.from({ length: random.int(0, 5) }, () => ({
      name: random.chance(0.9) ? random.pick(["a", "b[]", "c[d]", ""]) : undefined,
      filename: random.chance(0.5) ? random.pick(["f.txt", "", "..", "x"]) : undefined,
      type: random.chance(0.5) ? random.pick(["text/plain", "a/b; charset=x", ";", ""]) : undefined,
      content: random.text(random.int(0, 200), "x-\r\nX:"),
    }));
    let bytes = multipart(
      parts,
      random.chance(0.8) ? undefined : random.pick(["", "\r\n--XX", "--"]),
    );
    for (let i = random.int(0, 3); i > 0 && bytes.length > 0; i--) {
      const at = random.int(0, bytes.length - 1);
      bytes = random.pick([
        () => bytes.with(at, random.int(0, 255)),
        () => bytes.slice(0, at),
        () =>
          joined([
            bytes.slice(0, at),
            random.pick(["\r\n\r\n", "--XX", "\0", "\r\n--XX--"]),
            bytes.slice(at),
          ]),
        () => joined([bytes.slice(0, at), bytes.slice(at + random.int(1, 20))]),
      ])();
    }
    const body = new PieceBody(bytes, random.pick([1, 3, 50, 10_000]));
    if (random.chance(0.1)) body.leaves = random.int(0, bytes.length);
    const host = hostWith();
    try {
      const form = await readTree(body, MULTIPART, rulesOf(scratch.dir), host);
      JSON.parse(textOf(form));
      JSON.parse(form.uploads ?? "null");
      await form.remove();
    } catch (error) {
      if (!(error instanceof BodyBroken)) throw error;
    }
    assertEquals(namesIn(scratch.dir), []);
    assertEquals(host.told, []);
  });
});
