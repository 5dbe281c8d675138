/** The RPC server from outside: replies, their order, bounds, hostile clients, addresses. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import { crc32 } from "../../../lib/goridge/crc32.ts";
import { encode } from "../../../lib/goridge/frame.ts";
import { RpcError } from "../../../lib/goridge/rpc.ts";
import type { RpcTable } from "../../../lib/goridge/rpc.ts";
import { ManualClock, turn } from "../../kit/manual_clock.ts";
import { Random } from "../../kit/random.ts";
import { Scratch } from "../../kit/scratch.ts";
import { soon, until } from "../../kit/wait.ts";
import { Client, ERROR, hex, JSON_CODEC, PROTO, recorder, request, serve } from "./rpc_kit.ts";

/** `rpc.Version` of the reference's dumps, and what the tests need. */
const table: RpcTable = {
  "rpc.Version": () => ({ json: "1.0.0" }),
  "jobs.List": () => ({ bytes: hex("0a 04 74 65 73 74") }),
  "jobs.Push": () => ({ bytes: new Uint8Array(0) }),
  "echo.Json": (call) => ({ json: call.json() }),
  "echo.Bytes": (call) => ({ bytes: call.bytes }),
  "echo.Big": () => ({ json: { created: 1700000000000000001n, "CPUPercent": 0.5 } }),
  "fail.Rpc": () => {
    throw new RpcError("undefined collector: x");
  },
  "fail.Failure": () => {
    throw new Failure("cannot do it", { fix: "do it otherwise" });
  },
  "fail.Bug": () => Promise.reject(new TypeError("x is not a function")),
};

Deno.test("the frames of the reference, byte for byte", async () => {
  await using server = await serve(table);
  using client = await Client.to(server.address);
  const exchanges: [sent: Uint8Array, expected: string][] = [
    [
      hex(`15 08 0f 00 00 00 1c 69 ca 8a 00 00  01 00 00 00  0b 00 00 00
           72 70 63 2e 56 65 72 73 69 6f 6e 74 72 75 65`),
      `15 08 12 00 00 00 5e e6 b9 28 00 00  01 00 00 00  0b 00 00 00
       72 70 63 2e 56 65 72 73 69 6f 6e 22 31 2e 30 2e 30 22`,
    ],
    [
      request("rpc.Nope", "true", 2),
      `15 48 27 00 00 00 84 b6 bf b7 00 00  02 00 00 00  08 00 00 00
       ${hexOf("rpc.Noperpc: can't find method rpc.Nope")}`,
    ],
    [
      hex("15 80 09 00 00 00 93 cd 37 2e 00 00 08 00 00 00 09 00 00 00 6a 6f 62 73 2e 4c 69 73 74"),
      `15 80 0f 00 00 00 4f 92 5c 0b 00 00  08 00 00 00  09 00 00 00
       6a 6f 62 73 2e 4c 69 73 74 0a 04 74 65 73 74`,
    ],
    [
      hex(`15 80 5f 00 00 00 ed 9d 51 c0 00 00  09 00 00 00  09 00 00 00  6a 6f 62 73 2e 50 75 73 68
           0a 54  0a 08 41 70 70 5c 4d 61 69 6c
           12 24 ${hexOf("6b1f5b1e-8a0d-4c1e-9b57-0d8a3d7c5f10")}
           1a 07 7b 22 61 22 3a 31 7d  22 0b 0a 01 68 12 06 0a 01 31 0a 01 32
           2a 0c 08 03 12 04 74 65 73 74 18 0a 30 01`),
      "15 80 09 00 00 00 93 cd 37 2e 00 00 09 00 00 00 09 00 00 00 6a 6f 62 73 2e 50 75 73 68",
    ],
  ];
  for (const [sent, expected] of exchanges) {
    await client.write(sent);
    const wanted = hex(expected);
    assertEquals((await client.bytes(wanted.length)).toHex(), wanted.toHex());
  }
});

Deno.test("what a method gets and gives, in every codec", async () => {
  await using server = await serve(table);
  using client = await Client.to(server.address);
  const said = async (method: string, argument: string, flags: number) => {
    const reply = await client.call(method, argument, flags);
    assertEquals([reply.method, reply.seq], [method, 1]);
    return `${reply.flags.toString(16)} ${reply.text}`;
  };
  assertEquals(await said("echo.Json", '{"a":[1,null]}', 0x08), '8 {"a":[1,null]}');
  assertEquals(await said("echo.Json", "", 0x08), "8 null");
  assertEquals(await said("echo.Json", '"x"', 0x04), '4 "x"');
  assertEquals(await said("echo.Bytes", "abc", 0x04), "4 abc");
  assertEquals(await said("echo.Bytes", "abc", 0x80), "80 abc");
  assertEquals(await said("echo.Bytes", "abc", 0x08), '8 "YWJj"');
  // Tested in the order PROTO, JSON, RAW.
  assertEquals(await said("echo.Bytes", "abc", 0x8c), "8c abc");
  assertEquals(await said("echo.Bytes", "abc", 0x0c), 'c "YWJj"');
  assertEquals(
    await said("echo.Big", "true", 0x08),
    '8 {"created":1700000000000000001,"CPUPercent":0.5}',
  );
});

Deno.test("what cannot be answered is an error reply, and the connection goes on", async () => {
  const { emit, lines } = recorder();
  await using server = await serve(table, { emit });
  using client = await Client.to(server.address);
  const refused = async (method: string, argument: string, flags = JSON_CODEC) => {
    const reply = await client.call(method, argument, flags);
    assertEquals(reply.flags, flags | ERROR);
    return reply.text;
  };
  assertEquals(await refused("echo.Nope", "true"), "rpc: can't find method echo.Nope");
  assertEquals(
    await refused("toString", "true"),
    "rpc: service/method request ill-formed: toString",
  );
  assertEquals(await refused("Object.toString", ""), "rpc: can't find service Object.toString");
  assertEquals(await refused("Echo.Json", "true"), "rpc: can't find service Echo.Json");
  assertEquals(await refused("echo.Json.A", ""), "rpc: can't find service echo.Json.A");
  assertStringIncludes(await refused("echo.Json", "{"), "the argument of echo.Json is no JSON");
  assertEquals(
    await refused("echo.Json", "", PROTO),
    "echo.Json takes JSON: call it with the JSON codec",
  );
  assertEquals(
    await refused("rpc.Version", "", PROTO),
    "rpc.Version answers JSON: call it with the JSON codec",
  );
  assertEquals(
    await refused("echo.Json", "", 0x10),
    "the codec MSGPACK is not supported: use JSON or protobuf",
  );
  for (const gob of [0x20, 0x00]) {
    const text = "the codec GOB is not supported: use JSON or protobuf";
    assertEquals(await refused("echo.Json", "", gob), text);
  }
  assertEquals(await refused("fail.Rpc", ""), "undefined collector: x");
  assertEquals(await refused("fail.Failure", ""), "cannot do it; do it otherwise");
  assertEquals(await refused("fail.Bug", ""), "internal error: x is not a function");
  const [bug] = lines.filter((line) => line.startsWith("internal_error"));
  assertStringIncludes(bug, '"where":"rpc fail.Bug","error":"x is not a function","stack":"');
  assertEquals((await client.call("echo.Json", "1")).text, "1");
});

Deno.test("a long JSON argument is refused, a long argument of bytes is not", async () => {
  await using server = await serve(table);
  using client = await Client.to(server.address);
  const long = new Uint8Array(5 << 20).fill(0x20);
  const refusal = await client.call("echo.Json", long);
  assertEquals(refusal.text, "the argument of echo.Json is longer than 4194304 bytes");
  assertEquals((await client.call("echo.Bytes", long, PROTO)).bytes, long);
});

Deno.test("replies come in the order in which they are ready", async () => {
  const gates = new Map<unknown, PromiseWithResolvers<void>>();
  const wait: RpcTable = {
    "wait.For": async (call) => {
      const gate = Promise.withResolvers<void>();
      gates.set(call.json(), gate);
      await gate.promise;
      return { json: call.json() };
    },
  };
  await using server = await serve(wait);
  using client = await Client.to(server.address);
  for (const seq of [1, 2, 3]) await client.write(request("wait.For", String(seq), seq));
  await until("all three calls are in flight", () => gates.size === 3);
  for (const seq of [3, 1, 2]) {
    gates.get(seq)!.resolve();
    const reply = await soon("the reply", client.reply());
    assertEquals([reply?.seq, reply?.text], [seq, String(seq)]);
  }
});

Deno.test("10,000 calls sent at once are all answered, never more than the limit at a time", async () => {
  let now = 0;
  let most = 0;
  const slow: RpcTable = {
    "echo.Json": async (call) => {
      most = Math.max(most, ++now);
      await turn();
      now--;
      return { json: call.json() };
    },
  };
  await using server = await serve(slow, { limits: { calls: 16 } });
  using client = await Client.to(server.address);
  const count = 10_000;
  const all = Array.from({ length: count }, (_, at) => request("echo.Json", String(at), at + 1));
  const sending = client.write(joined(all));
  const seen = new Set<number>();
  for (let at = 0; at < count; at++) {
    const reply = (await client.reply())!;
    assertEquals(reply.text, String(reply.seq - 1));
    seen.add(reply.seq);
  }
  await sending;
  assertEquals(seen.size, count);
  assertEquals(most, 16);
});

Deno.test("a connection with all its calls in flight does not hold another one up", async () => {
  const never = Promise.withResolvers<{ json: unknown }>();
  const busy: RpcTable = { "wait.Long": () => never.promise, ...table };
  await using server = await serve(busy, { limits: { calls: 2 } });
  using full = await Client.to(server.address);
  for (const seq of [1, 2, 3]) await full.write(request("wait.Long", "", seq));
  using other = await Client.to(server.address);
  assertEquals((await soon("the reply", other.call("echo.Json", "1"))).text, "1");
  never.resolve({ json: "done" });
  for (const seq of [1, 2, 3]) assertEquals((await full.reply())?.seq, seq);
});

Deno.test("arguments in flight are bounded in bytes", async () => {
  let started = 0;
  const gate = Promise.withResolvers<void>();
  const slow: RpcTable = {
    "take.It": async () => {
      started++;
      await gate.promise;
      return { json: true };
    },
  };
  await using server = await serve(slow, { limits: { bytes: 100_000 } });
  using client = await Client.to(server.address);
  const part = new Uint8Array(60_000);
  const sending = client.write(
    joined([1, 2, 3].map((seq) => request("take.It", part, seq, PROTO))),
  );
  await until("two calls are in flight", () => started === 2);
  gate.resolve();
  await sending;
  for (let at = 0; at < 3; at++) assertEquals((await client.reply())?.flags, PROTO | ERROR);
  assertEquals(started, 3);
});

const HOSTILE: [name: string, bytes: Uint8Array, reason: string][] = [
  ["text", bytesOf("GET / HTTP/1.1\r\n\r\n"), "version 4"],
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

Deno.test("close: what is in flight is answered, then all connections end", async () => {
  const gate = Promise.withResolvers<void>();
  const started = Promise.withResolvers<void>();
  const wait: RpcTable = {
    "wait.It": async () => {
      started.resolve();
      await gate.promise;
      return { json: true };
    },
  };
  const server = await serve(wait);
  using idle = await Client.to(server.address);
  using client = await Client.to(server.address);
  await client.write(request("wait.It", "", 1));
  await started.promise;
  const closing = server.close(20_000);
  assertEquals(await soon("the idle one ends", idle.reply()), undefined);
  await assertRejects(() => Client.to(server.address));
  gate.resolve();
  assertEquals((await client.reply())?.text, "true");
  assertEquals(await client.reply(), undefined);
  await closing;
  assertEquals(server.connections, 0);
});

Deno.test("close cuts what does not end in time", async () => {
  const clock = new ManualClock();
  const started = Promise.withResolvers<void>();
  const wait: RpcTable = { "wait.It": () => (started.resolve(), new Promise(() => {})) };
  const server = await serve(wait, { clock });
  using client = await Client.to(server.address);
  await client.write(request("wait.It", "", 1));
  await started.promise;
  const closing = server.close(5000);
  await clock.advance(5000);
  await soon("the close", closing);
  assertEquals(await client.reply(), undefined);
});

Deno.test("a Unix socket: only its owner may use it, and close removes it", async () => {
  using scratch = new Scratch();
  const path = scratch.path("rpc.sock");
  const before = Deno.umask(0);
  try {
    const owner = { uid: 65534, gid: 12345 };
    await using server = await serve(table, { listen: `unix://${path}`, owner });
    const { mode, uid, gid } = Deno.lstatSync(path);
    assertEquals([mode! & 0o777, uid, gid], [0o600, 65534, 12345]);
    assertEquals([...Deno.readDirSync(scratch.dir)].map(({ name }) => name), ["rpc.sock"]);
    assertEquals(server.address, `unix://${path}`);
    using client = await Client.to(server.address);
    assertEquals((await client.call("echo.Json", "1")).text, "1");
    const rebinding = await server.rebind(`unix://${path}`, { uid: 1, gid: 2 });
    assertEquals(ownerOf(path), [1, 2]);
    rebinding!.undo();
    assertEquals(ownerOf(path), [65534, 12345]);
    assertEquals(await server.rebind(`unix://${path}`, owner), undefined);
  } finally {
    Deno.umask(before);
  }
  assertEquals([...Deno.readDirSync(scratch.dir)], []);
});

Deno.test("a Unix socket that is stale is replaced, one that answers and a file are not", async () => {
  using scratch = new Scratch();
  const listen = `unix://${scratch.path("rpc.sock")}`;
  const stale = Deno.listen({ transport: "unix", path: scratch.path("old") });
  Deno.renameSync(scratch.path("old"), scratch.path("rpc.sock"));
  stale.close();
  await using _server = await serve(table, { listen });
  const taken = await assertRejects(() => serve(table, { listen }), Failure);
  assertEquals(
    taken.message,
    `cannot open the RPC socket "${scratch.path("rpc.sock")}": another program answers there`,
  );
  scratch.write("file", "");
  const file = `unix://${scratch.path("file")}`;
  const failure = await assertRejects(() => serve(table, { listen: file }), Failure);
  assertStringIncludes(failure.message, "something that is not a socket lies there");
});

Deno.test("a bad or taken address is a sentence", async () => {
  const bad = await assertRejects(() => serve(table, { listen: "http://x" }), Failure);
  assertEquals(bad.message, 'cannot listen for RPC on "http://x": that is no address');
  await using server = await serve(table);
  const taken = await assertRejects(() => serve(table, { listen: server.address }), Failure);
  const message = `cannot listen for RPC on "${server.address}": address already in use`;
  assertEquals(taken.message, message);
});

Deno.test("rebind: the new address before the old one goes, and who is connected stays", async () => {
  using scratch = new Scratch();
  const { emit, lines } = recorder();
  await using server = await serve(table, { emit });
  const old = server.address;
  using connected = await Client.to(old);
  await connected.call("echo.Json", "1");
  assertEquals(await server.rebind("tcp://127.0.0.1:0", undefined), undefined);

  const next = `unix://${scratch.path("rpc.sock")}`;
  const given = (await server.rebind(next, undefined))!;
  using early = await Client.to(next);
  assertEquals((await early.call("echo.Json", "1")).text, "1");
  given.undo();
  assertEquals(await early.reply(), undefined);
  assertEquals([...Deno.readDirSync(scratch.dir)], []);
  assertEquals(server.address, old);

  const rebinding = (await server.rebind(next, undefined))!;
  using late = await Client.to(old);
  using first = await Client.to(next);
  rebinding.commit();
  assertEquals(server.address, next);
  for (const client of [connected, first]) {
    assertEquals((await client.call("echo.Json", "3")).text, "3");
  }
  await assertRejects(() => Client.to(old), Deno.errors.ConnectionRefused);
  await late.conn.closeWrite();
  const bound = `listener_bound {"name":"rpc","address":"${next}"}`;
  const closed = `listener_closed {"name":"rpc","address":"${old}"}`;
  assertEquals(lines.slice(-2), [bound, closed]);
});

Deno.test("an address that was to be served when the server closed is not left behind", async () => {
  using scratch = new Scratch();
  const server = await serve(table);
  const rebinding = server.rebind(`unix://${scratch.path("rpc.sock")}`, undefined);
  await server.close(0);
  assertEquals(await rebinding, undefined);
  assertEquals([...Deno.readDirSync(scratch.dir)], []);
});

function ownerOf(path: string): [number | null, number | null] {
  const { uid, gid } = Deno.lstatSync(path);
  return [uid, gid];
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function hexOf(text: string): string {
  return bytesOf(text).toHex();
}

/** A frame with these options and payload. */
function encoded(flags: number, options: number[], payload: string): Uint8Array {
  return encode({ flags, options, parts: [bytesOf(payload)] });
}

/** Only the header of a request, which announces a payload. */
function frameHead(length: number): Uint8Array {
  const bytes = encoded(JSON_CODEC, [1, 11], "");
  const view = new DataView(bytes.buffer);
  view.setUint32(2, length, true);
  view.setUint32(6, crc32(bytes, 0, 6), true);
  return bytes;
}
