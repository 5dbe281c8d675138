/** Calls to the RPC server: replies byte for byte, their codecs and order, how many are in flight. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import type { RpcTable } from "../../../lib/goridge/rpc.ts";
import { turn } from "../../kit/manual_clock.ts";
import { soon, until } from "../../kit/wait.ts";
import { joined, utf8 } from "./bytes.ts";
import {
  Client,
  ERROR,
  hex,
  JSON_CODEC,
  PROTO,
  recorder,
  request,
  serve,
  table,
} from "./rpc_kit.ts";

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

function hexOf(text: string): string {
  return utf8(text).toHex();
}
