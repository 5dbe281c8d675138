/** The raw front on a Unix socket: its file, its mode, what it replaces and what it does not. */

import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import { answer, type Front, openFront } from "../../../lib/http/mod.ts";
import { realClock } from "../../../lib/os/clock.ts";
import { RawPeer } from "../../kit/raw_http.ts";
import { Scratch } from "../../kit/scratch.ts";

const OPTIONS = {
  timeouts: { header: 10_000, idle: 75_000, send: 60_000 },
  limits: { header_bytes: 65_536, headers: 200, body: 0 },
};

function open(path: string): Front {
  return openFront(
    "raw",
    { path },
    (exchange) => answer(exchange, 200, `from "${exchange.client.address}"`),
    OPTIONS,
    { clock: realClock, emit: () => {} },
  );
}

async function ask(path: string): Promise<string> {
  using client = new RawPeer(await Deno.connect({ transport: "unix", path }));
  await client.request("GET / HTTP/1.1", "Host: x");
  return (await client.message()).body;
}

async function ended(front: Front): Promise<void> {
  front.cut();
  await front.closed;
}

/** Names in a directory. */
const names = (dir: string) => [...Deno.readDirSync(dir)].map(({ name }) => name);

Deno.test("unix: answers there, is everybody's who reaches it, and is removed at the end", async () => {
  using scratch = new Scratch();
  const path = scratch.path("app.sock");
  const front = open(path);
  assertEquals(front.address, { hostname: "", port: 0, path });
  assertEquals(Deno.lstatSync(path).mode! & 0o777, 0o666);
  assertStringIncludes(await ask(path), 'from ""');
  await front.drain(1000);
  assertEquals(names(scratch.dir), []);
});

Deno.test("unix: a socket left behind is replaced, one in use is not", async () => {
  using scratch = new Scratch();
  const path = scratch.path("app.sock");
  // Closing a listener removes the name it was bound to, and only that.
  const old = Deno.listen({ transport: "unix", path: scratch.path("old.sock") });
  Deno.renameSync(scratch.path("old.sock"), path);
  old.close();
  assertEquals(Deno.lstatSync(path).isSocket, true);
  const front = open(path);
  assertThrows(() => open(path), Failure, `cannot listen on "${path}": another program listens`);
  assertStringIncludes(await ask(path), "from");
  await ended(front);
});

Deno.test("unix: what is no socket is left alone", () => {
  using scratch = new Scratch();
  const path = scratch.path("app.sock");
  Deno.writeTextFileSync(path, "precious");
  assertThrows(() => open(path), Failure, "something that is not a socket lies there");
  assertEquals(Deno.readTextFileSync(path), "precious");
});

Deno.test("unix: a socket that another put at the path since is not removed", async () => {
  using scratch = new Scratch();
  const path = scratch.path("app.sock");
  const front = open(path);
  Deno.removeSync(path);
  using other = Deno.listen({ transport: "unix", path });
  await ended(front);
  assertEquals(Deno.lstatSync(path).isSocket, true);
  assertEquals(other.addr.path, path);
});
