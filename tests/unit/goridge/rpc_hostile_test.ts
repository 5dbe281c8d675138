/** Clients of the RPC server that send junk, read nothing, leave half-way or come in numbers. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { crc32 } from "../../../lib/goridge/crc32.ts";
import { encode } from "../../../lib/goridge/frame.ts";
import type { RpcTable } from "../../../lib/goridge/rpc.ts";
import { ManualClock } from "../../kit/manual_clock.ts";
import { Random } from "../../kit/random.ts";
import { soon, until } from "../../kit/wait.ts";
import { joined, utf8 } from "./bytes.ts";
import { Client, hex, JSON_CODEC, recorder, request, serve, table } from "./rpc_kit.ts";

const HOSTILE: [name: string, bytes: Uint8Array, reason: string][] = [
  ["text", utf8("GET / HTTP/1.1\r\n\r\n"), "version 4"],
  [
    "a wrong checksum",
    hex("15 08 0f 00 00 00 1c 69 ca 8b 00 00 01 00 00 00 0b 00 00 00"),
    "checksum",
  ],
  ["a payload of 3 GB", frameHead(3e9), "a payload of 3000000000 bytes"],
  [
    "a payload over the limit",
    frameHead((64 << 20) + 1),
    "67108865 bytes, and 67108864 are allowed",
  ],
  ["one option", encoded(JSON_CODEC, [1], ""), "2 options, this one 1"],
  ["a name longer than the payload", encoded(JSON_CODEC, [1, 99], "rpc.Version"), "99 bytes long"],
  ["no name", encoded(JSON_CODEC, [1, 0], "rpc.Version"), "0 bytes long"],
  ["a name of 256 bytes", encoded(JSON_CODEC, [1, 256], "x".repeat(300)), "256 bytes long"],
  ["a control frame", encoded(0x09, [1, 11], "rpc.Version"), "the flags 0x9"],
  ["an error frame", encoded(0x48, [1, 11], "rpc.Version"), "the flags 0x48"],
];

for (const [name, bytes, reason] of HOSTILE) {
  Deno.test(`${name}: that connection ends with an event, the others do not notice`, async () => {
    const { emit, lines } = recorder();
    await using server = await serve(table, { emit });
    using other = await Client.to(server.address);
    assertEquals((await other.call("echo.Json", "1")).text, "1");
    using client = await Client.to(server.address);
    await client.write(bytes);
    assertEquals(await soon("the end of the connection", client.reply()), undefined);
    const cut = await until("the event", () => lines.find((line) => line.startsWith("rpc_conn")));
    assertStringIncludes(cut, reason);
    assertEquals((await other.call("echo.Json", "2")).text, "2");
  });
}

Deno.test("random bytes on many connections leave nothing behind", async () => {
  await using server = await serve(table);
  const random = new Random(7);
  for (let at = 0; at < 200; at++) {
    using client = await Client.to(server.address);
    const whole = request("echo.Json", '{"a":1}', at);
    const bytes = random.chance(0.5)
      ? Uint8Array.from({ length: random.int(1, 300) }, () => random.int(0, 255))
      : whole.with(random.int(0, whole.length - 1), random.int(0, 255));
    await client.write(bytes).catch(() => {});
    await client.conn.closeWrite().catch(() => {});
    // Replies to what was a request after all, then the end.
    while (await soon(`the end (seed 7, try ${at})`, client.reply()) !== undefined);
  }
  await until("all left", () => server.connections === 0);
  using client = await Client.to(server.address);
  assertEquals((await client.call("echo.Json", "1")).text, "1");
});

Deno.test("a request that ends half-way is an event, a client that just leaves is none", async () => {
  const { emit, lines } = recorder();
  await using server = await serve(table, { emit });
  {
    using client = await Client.to(server.address);
    await client.call("echo.Json", "1");
  }
  {
    using client = await Client.to(server.address);
    await client.write(request("echo.Json", "123", 1).subarray(0, 25));
    await client.conn.closeWrite();
    assertEquals(await client.reply(), undefined);
  }
  await until("all left", () => server.connections === 0);
  const cuts = lines.filter((line) => line.startsWith("rpc_connection_cut"));
  assertEquals(cuts.length, 1);
  assertStringIncludes(cuts[0], "it ended in the middle of a request");
});

Deno.test("a client that stops sending still gets its answers, whole", async () => {
  const gate = Promise.withResolvers<void>();
  const long = "x".repeat(24 << 20);
  const wait: RpcTable = { "wait.It": () => gate.promise.then(() => ({ json: long })) };
  await using server = await serve(wait);
  using client = await Client.to(server.address);
  await client.write(request("wait.It", "", 1));
  await client.conn.closeWrite();
  gate.resolve();
  assertEquals((await client.reply())?.text, `"${long}"`);
  assertEquals(await client.reply(), undefined);
});

Deno.test("a client that reads nothing is cut, and until then takes nothing from others", async () => {
  const clock = new ManualClock();
  const { emit, lines } = recorder();
  const big = "x".repeat(1 << 20);
  let calls = 0;
  const flood: RpcTable = { "flood.It": () => (calls++, { json: big }), ...table };
  const limits = { calls: 8, send: 60_000 };
  await using server = await serve(flood, { clock, emit, limits });
  using client = await Client.to(server.address);
  const many = joined(Array.from({ length: 50 }, (_, at) => request("flood.It", "", at)));
  await client.write(many);
  await until("a write waits for the client", () => clock.pending > 0 && calls >= 8);
  using other = await Client.to(server.address);
  assertEquals((await other.call("echo.Json", "1")).text, "1");
  assert(calls < 50, "the server read on although nothing was taken");
  await until("the client is cut", async () => {
    await clock.advance(60_000);
    return lines.some((line) => line.startsWith("rpc_connection_cut"));
  });
  assertStringIncludes(lines.join(), "it read nothing for 60000 ms");
  assertEquals((await other.call("echo.Json", "2")).text, "2");
});

Deno.test("one connection too many is closed, and said once", async () => {
  const { emit, lines } = recorder();
  await using server = await serve(table, { emit, limits: { connections: 2 } });
  using first = await Client.to(server.address);
  await first.call("echo.Json", "1");
  {
    using second = await Client.to(server.address);
    await second.call("echo.Json", "1");
    for (let at = 0; at < 3; at++) {
      using more = await Client.to(server.address);
      assertEquals(await more.reply(), undefined);
    }
  }
  await until("one has left", () => server.connections === 1);
  using again = await Client.to(server.address);
  assertEquals((await again.call("echo.Json", "1")).text, "1");
  assertEquals(lines.filter((line) => line.startsWith("rpc_connection_cut")), [
    'rpc_connection_cut {"client":"new","reason":"there are 2 connections already"}',
  ]);
});

/** A frame with these options and payload. */
function encoded(flags: number, options: number[], payload: string): Uint8Array {
  return encode({ flags, options, parts: [utf8(payload)] });
}

/** Only the header of a request, which announces a payload. */
function frameHead(length: number): Uint8Array {
  const bytes = encoded(JSON_CODEC, [1, 11], "");
  const view = new DataView(bytes.buffer);
  view.setUint32(2, length, true);
  view.setUint32(6, crc32(bytes, 0, 6), true);
  return bytes;
}
