/** Messages as protobuf and JSON: bytes of the reference, missing, unknown and hostile fields. */

import { assertEquals, assertThrows } from "@std/assert";
import { type RpcCall, type RpcCodec, RpcError } from "../../../lib/goridge/rpc.ts";
import {
  flag,
  float,
  integer,
  Message,
  messages,
  MOST_ITEMS,
  nested,
  text,
  textMap,
  texts,
  unsigned,
} from "../../../lib/goridge/rpc_message.ts";
import { Random } from "../../kit/random.ts";
import { hex } from "./rpc_kit.ts";

/** The messages of the reference's dumps. */
const pipelines = new Message<{ pipelines: string[] }>({ pipelines: texts(1) });
const declare = new Message<{ pipeline: Record<string, string> }>({ pipeline: textMap(1) });
const lock = new Message<{ resource: string; id: string; ttl: number; wait: number }>({
  resource: text(1),
  id: text(2),
  ttl: integer(3),
  wait: integer(4),
});
const ok = new Message<{ ok: boolean }>({ ok: flag(1) });
interface Stat {
  pipeline: string;
  driver: string;
  queue: string;
  active: number;
  delayed: number;
  reserved: number;
  ready: boolean;
  priority: number;
}
const stats = new Message<{ stats: Stat[] }>({
  stats: messages(
    1,
    new Message<Stat>({
      pipeline: text(1),
      driver: text(2),
      queue: text(3),
      active: integer(4),
      delayed: integer(5),
      reserved: integer(6),
      ready: flag(7),
      priority: unsigned(8),
    }),
  ),
});

interface Everything {
  name: string;
  count: number;
  size: number;
  share: number;
  on: boolean;
  list: string[];
  map: Record<string, string>;
  part: { name: string } | null;
  parts: { name: string }[];
}

const named = new Message<{ name: string }>({ name: text(1) });
const everything = new Message<Everything>({
  name: text(1),
  count: integer(2),
  size: unsigned(3),
  share: float(4),
  on: flag(5),
  list: texts(6),
  map: textMap(7),
  part: nested(8, named),
  parts: messages(20, named),
});

const FULL: Everything = {
  name: "é\u0000",
  count: -5,
  size: 2 ** 52,
  share: 0.5,
  on: true,
  list: ["", "b"],
  map: { a: "1", "": "2" },
  part: { name: "" },
  parts: [{ name: "x" }, { name: "" }],
};

function callOf(codec: RpcCodec, argument: unknown): RpcCall {
  return {
    codec,
    bytes: argument instanceof Uint8Array ? argument : new Uint8Array(0),
    json: () => argument,
  };
}

Deno.test("the messages of the reference, byte for byte", () => {
  const same = <M extends object>(message: Message<M>, value: M, dump: string) => {
    assertEquals(message.encode(value).toHex(), hex(dump).toHex());
    assertEquals(plain(message.decode(hex(dump))), value);
  };
  same(pipelines, { pipelines: ["test"] }, "0a 04 74 65 73 74");
  same(
    declare,
    { pipeline: { name: "mem", driver: "memory", priority: "5", prefetch: "20" } },
    `0a 0b 0a 04 6e 61 6d 65 12 03 6d 65 6d
     0a 10 0a 06 64 72 69 76 65 72 12 06 6d 65 6d 6f 72 79
     0a 0d 0a 08 70 72 69 6f 72 69 74 79 12 01 35
     0a 0e 0a 08 70 72 65 66 65 74 63 68 12 02 32 30`,
  );
  const stat = {
    pipeline: "test",
    driver: "memory",
    queue: "test",
    active: 2,
    delayed: 0,
    reserved: 0,
    ready: false,
    priority: 10,
  };
  const dump = "0a 04 74 65 73 74 12 06 6d 65 6d 6f 72 79 1a 04 74 65 73 74 20 02 40 0a";
  same(stats, { stats: [stat] }, `0a 18 ${dump}`);
  same(
    stats,
    { stats: [{ ...stat, ready: true, priority: 0 }] },
    `0a 18 ${dump.slice(0, -5)}38 01`,
  );
  same(
    lock,
    { resource: "res", id: "fixed-id", ttl: 10_000_000, wait: 5_000_000 },
    "0a 03 72 65 73 12 08 66 69 78 65 64 2d 69 64 18 80 ad e2 04 20 c0 96 b1 02",
  );
  same(ok, { ok: true }, "08 01");
});

Deno.test("what is written is read again, in both codecs", () => {
  assertEquals(plain(everything.argument(callOf("proto", everything.encode(FULL)))), FULL);
  assertEquals(plain(everything.argument(callOf("json", plain(FULL)))), FULL);
  assertEquals(everything.answer(callOf("json", null), FULL), { json: FULL });
  const answer = everything.answer(callOf("proto", null), FULL);
  assertEquals(answer, { bytes: everything.encode(FULL) });
});

Deno.test("what is missing is zero: no bytes, null, an empty object", () => {
  const zero = {
    name: "",
    count: 0,
    size: 0,
    share: 0,
    on: false,
    list: [],
    map: {},
    part: null,
    parts: [],
  };
  assertEquals(plain(everything.argument(callOf("proto", new Uint8Array(0)))), zero);
  for (const argument of [null, {}, [], { name: null, later: 1, map: [] }]) {
    assertEquals(plain(everything.argument(callOf("json", argument))), zero);
  }
  assertEquals(everything.encode(zero as Everything).length, 0);
});

Deno.test("unknown fields and known ones of another wire type are skipped", () => {
  // 15: a varint, a group, 8 bytes; 1 as a varint; then 1 as it should be; 2 as 4 bytes.
  const bytes = hex("78 05  7b 78 01 7c  79 0102030405060708  08 07  0a 01 61  15 01020304");
  assertEquals(everything.decode(bytes).name, "a");
  assertEquals(everything.decode(bytes).count, 0);
});

Deno.test("the last of several values counts; a map of PHP may name a key twice", () => {
  assertEquals(named.decode(hex("0a 01 61 0a 01 62")).name, "b");
  const twice = hex("0a 06 0a 01 61 12 01 31  0a 06 0a 01 61 12 01 32");
  assertEquals(plain(declare.decode(twice)), { pipeline: { a: "2" } });
});

Deno.test("a key named __proto__ is a key", () => {
  const given = JSON.parse('{"pipeline":{"__proto__":"x"}}');
  for (const read of [declare.argument(callOf("json", given)), declare.decode(proto())]) {
    assertEquals(Object.keys(read.pipeline), ["__proto__"]);
  }
  function proto(): Uint8Array {
    return declare.encode(given);
  }
});

Deno.test("JSON of the wrong type is refused with the name of the field", () => {
  const refused = (argument: unknown) =>
    assertThrows(() => everything.argument(callOf("json", argument)), RpcError).message;
  assertEquals(refused("http"), "the argument must be an object");
  assertEquals(refused({ name: 1 }), '"name" must be a string');
  assertEquals(refused({ count: "1" }), '"count" must be a number');
  assertEquals(refused({ on: 1 }), '"on" must be true or false');
  assertEquals(refused({ list: "a" }), '"list" must be a list');
  assertEquals(refused({ list: [1] }), 'each of "list" must be a string');
  assertEquals(refused({ map: [1] }), '"map" must be an object');
  assertEquals(refused({ map: { a: 1 } }), 'each of "map" must be a string');
  assertEquals(refused({ part: [1] }), '"part" must be an object');
  assertEquals(refused({ parts: [3] }), 'each of "parts" must be an object');
  const raw = assertThrows(() => everything.argument(callOf("raw", null)), RpcError);
  assertEquals(raw.message, "the argument must be protobuf or JSON");
});

Deno.test("lists and maps are bounded in both codecs", () => {
  const refused = (call: RpcCall) =>
    assertEquals(
      assertThrows(() => everything.argument(call), RpcError).message,
      `a list has more than ${MOST_ITEMS} items`,
    );
  const strings = Array<string>(MOST_ITEMS).fill("");
  const most = pipelines.encode({ pipelines: strings });
  assertEquals(pipelines.decode(most).pipelines.length, MOST_ITEMS);
  assertEquals(everything.argument(callOf("json", { list: strings })).list.length, MOST_ITEMS);
  const entries = Array.from({ length: MOST_ITEMS + 1 }, (_, at) => [`k${at}`, ""]);
  const tooMany = { ...FULL, list: [...strings, ""] };
  const tooLarge = { ...FULL, map: Object.fromEntries(entries) };
  for (const value of [tooMany, tooLarge]) {
    refused(callOf("proto", everything.encode(value)));
    refused(callOf("json", value));
  }
});

Deno.test("cut and random bytes give a message or an RpcError, nothing else", () => {
  const random = new Random(11);
  const whole = everything.encode(FULL);
  const tries = Array.from({ length: whole.length }, (_, end) => whole.slice(0, end));
  for (let at = 0; at < 3000; at++) {
    const bytes = Uint8Array.from({ length: random.int(0, 40) }, () => random.int(0, 255));
    tries.push(bytes);
    const bent = whole.slice();
    bent[random.int(0, bent.length - 1)] = random.int(0, 255);
    tries.push(bent);
  }
  let refused = 0;
  for (const bytes of tries) {
    try {
      everything.argument(callOf("proto", bytes));
    } catch (error) {
      if (!(error instanceof RpcError)) {
        throw new Error(`seed 11: ${bytes.toHex()}`, { cause: error });
      }
      refused++;
    }
  }
  // Most of it is no message.
  assertEquals(refused > 1000, true);
});

/** Without prototypes and other things that only equality sees. */
function plain<T>(value: T): T {
  return JSON.parse(JSON.stringify(value));
}
