/** The history file: what is read back, what is refused, and in which order writes follow. */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import { History, type Remembered } from "../../../lib/release/history.ts";
import type { ReleaseRecord } from "../../../lib/release/types.ts";
import { Scratch } from "../../kit/scratch.ts";

function record(id: string): ReleaseRecord {
  return {
    release_id: id,
    lineage: id,
    release_path: `/srv/${id}`,
    revision: id,
    state: "stopped",
    started_at: "2030-01-01T00:00:00.000Z",
    activated_at: "2030-01-01T00:00:01.000Z",
  };
}

function remembered(...ids: string[]): Remembered {
  return { live: record(ids.at(-1)!), releases: ids.map(record), scale: { worker: 3 } };
}

Deno.test("what was written is read back", async () => {
  using scratch = new Scratch();
  const file = scratch.path("state.json");
  await new History(file, "app").write(remembered("v1", "v2"));
  assertEquals(new History(file, "app").read(), remembered("v1", "v2"));
  assertEquals(Deno.statSync(file).mode! & 0o777, 0o600);
});

Deno.test("without a file there is no history", () => {
  using scratch = new Scratch();
  const history = new History(scratch.path("state.json"), "app");
  assertEquals(history.read(), { live: null, releases: [], scale: {} });
});

Deno.test("writes follow in the order of the calls", async () => {
  using scratch = new Scratch();
  const history = new History(scratch.path("state.json"), "app");
  const ids = Array.from({ length: 20 }, (_, index) => `v${index + 1}`);
  await Promise.all(ids.map((id) => history.write(remembered(id))));
  assertEquals(history.read(), remembered("v20"));
});

Deno.test("a record is written as it was at the call", async () => {
  using scratch = new Scratch();
  const history = new History(scratch.path("state.json"), "app");
  const changing = remembered("v1");
  const write = history.write(changing);
  changing.releases[0].state = "active";
  await write;
  assertEquals(history.read().releases[0].state, "stopped");
});

Deno.test("a write that fails is told, and the next one is tried", async () => {
  using scratch = new Scratch();
  const history = new History(scratch.path("dir", "state.json"), "app");
  const failure = await assertRejects(() => history.write(remembered("v1")), Failure);
  assertEquals(failure.message.includes(scratch.path("dir", "state.json")), true);
  Deno.mkdirSync(scratch.path("dir"));
  await history.write(remembered("v2"));
  assertEquals(history.read(), remembered("v2"));
});

const good = { format: 1, application: "app", ...remembered("v1") };
const FOREIGN: Record<string, string> = {
  "half a file": JSON.stringify(good).slice(0, 80),
  "an empty file": "",
  "null": "null",
  "a list": "[]",
  "another format": JSON.stringify({ ...good, format: 2 }),
  "no releases": JSON.stringify({ ...good, releases: undefined }),
  "releases that are none": JSON.stringify({ ...good, releases: [null] }),
  "a release without a path": JSON.stringify({
    ...good,
    releases: [{ ...record("v1"), release_path: undefined }],
  }),
  "a live release that is none": JSON.stringify({ ...good, live: 5 }),
  "no word of a live release": JSON.stringify({ ...good, live: undefined }),
  "counts that are none": JSON.stringify({ ...good, scale: { worker: "three" } }),
};
for (const [what, text] of Object.entries(FOREIGN)) {
  Deno.test(`${what} is refused and left alone`, () => {
    using scratch = new Scratch();
    const file = scratch.write("state.json", text);
    const failure = assertThrows(() => new History(file, "app").read(), Failure);
    assertEquals(
      failure.message,
      `the release history "${file}" is not a file of this program`,
    );
    assertEquals(scratch.read("state.json"), text);
  });
}

Deno.test("the history of another application is refused by its name", () => {
  using scratch = new Scratch();
  const file = scratch.write("state.json", JSON.stringify({ ...good, application: "shop" }));
  const failure = assertThrows(() => new History(file, "app").read(), Failure);
  assertEquals(failure.message.endsWith('belongs to the application "shop", not "app"'), true);
});

Deno.test("a file that cannot be read is no empty history", () => {
  using scratch = new Scratch();
  Deno.mkdirSync(scratch.path("state.json"));
  assertThrows(() => new History(scratch.path("state.json"), "app").read(), Failure, "cannot read");
});
