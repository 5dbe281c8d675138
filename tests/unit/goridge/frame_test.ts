import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { Bit, Flag, MAX_PAYLOAD } from "../../../lib/goridge/codes.ts";
import { askPid, PONG, STOP, STREAM_STOP } from "../../../lib/goridge/control.ts";
import { crc32 } from "../../../lib/goridge/crc32.ts";
import { FrameDecoder } from "../../../lib/goridge/decoder.ts";
import { request, split } from "../../../lib/goridge/exchange.ts";
import { encode, pieces } from "../../../lib/goridge/frame.ts";
import { type Frame, FrameBroken, type OutFrame } from "../../../lib/goridge/relay.ts";
import { forSeeds, type Random } from "../../kit/random.ts";
import { bytes, decode, text, utf8 } from "./bytes.ts";

/** What goes over the wire, as the reference has it. */
const VECTORS: [what: string, frame: OutFrame, wire: Uint8Array][] = [
  [
    "asking for the pid",
    askPid(4242),
    bytes("13 09 0c 00 00 00 5f 0c 46 73 00 00", `'{"pid":4242}`),
  ],
  [
    "its answer",
    { flags: Flag.control, parts: [utf8('{"pid":4243}')] },
    bytes("13 01 0c 00 00 00 9e 47 36 43 00 00", `'{"pid":4243}`),
  ],
  ["stop", STOP, bytes("13 09 0d 00 00 00 3a 6b fa cb 00 00", `'{"stop":true}`)],
  [
    "asking to be replaced",
    request(0, utf8('{"stop":true}')),
    bytes("14 00 0d 00 00 00 f3 39 ef db 00 00 0d 00 00 00", `'{"stop":true}`),
  ],
  [
    "an error",
    { flags: Flag.error, parts: [utf8("boom")] },
    bytes("13 40 04 00 00 00 88 1e 11 e3 00 00", "'boom"),
  ],
  [
    "a request",
    request(Flag.raw, utf8("CTX"), [utf8("hel"), utf8("lo")]),
    bytes("14 04 08 00 00 00 01 6f b1 19 00 00 03 00 00 00", "'CTXhello"),
  ],
  [
    "a chunk of a stream",
    { flags: 0, bits: Bit.stream, options: [0], parts: [utf8("abc")] },
    bytes("14 00 03 00 00 00 c0 4e 30 3b 01 00 00 00 00 00", "'abc"),
  ],
  [
    "a chunk with a ping",
    { flags: 0, bits: Bit.stream | Bit.ping, options: [0], parts: [utf8("abc")] },
    bytes("14 00 03 00 00 00 c0 4e 30 3b 05 00 00 00 00 00", "'abc"),
  ],
  [
    "an empty last chunk",
    request(0, utf8("")),
    bytes("14 00 00 00 00 00 2e e1 85 29 00 00 00 00 00 00"),
  ],
  ["pong", PONG, bytes("13 00 00 00 00 00 96 d1 80 34 08 00")],
  ["stop of a stream", STREAM_STOP, bytes("13 00 00 00 00 00 96 d1 80 34 02 00")],
  [
    "an HTTP answer",
    request(0, utf8('{"status":200,"headers":{"X-A":["1"]}}'), [utf8("OK")]),
    bytes(
      "14 00 28 00 00 00 ff 66 03 4c 00 00 26 00 00 00",
      `'{"status":200,"headers":{"X-A":["1"]}}OK`,
    ),
  ],
  [
    "an HTTP answer, protobuf",
    request(Flag.proto, bytes("08 c8 01 12 0a 0a 03 58 2d 41 12 03 0a 01 31"), [utf8("OK")]),
    bytes(
      "14 80 11 00 00 00 46 61 c6 70 00 00 0f 00 00 00",
      "08 c8 01 12 0a 0a 03 58 2d 41 12 03 0a 01 31 4f 4b",
    ),
  ],
  [
    "a TCP answer",
    request(0, utf8("WRITE"), [utf8("echo:hi\r\n")]),
    bytes("14 00 0e 00 00 00 1d 96 5a c9 00 00 05 00 00 00", "'WRITEecho:hi\r\n"),
  ],
  [
    "a jobs answer",
    request(0, utf8(""), [utf8('{"type":0,"data":[]}')]),
    bytes("14 00 14 00 00 00 e6 21 fe f6 00 00 00 00 00 00", `'{"type":0,"data":[]}`),
  ],
  [
    "an RPC call",
    { flags: Flag.json, options: [1, 11], parts: [utf8("rpc.Versiontrue")] },
    bytes("15 08 0f 00 00 00 1c 69 ca 8a 00 00 01 00 00 00 0b 00 00 00", "'rpc.Versiontrue"),
  ],
  [
    "an RPC error",
    {
      flags: Flag.error | Flag.json,
      options: [2, 8],
      parts: [utf8("rpc.Nope"), utf8("rpc: can't find method rpc.Nope")],
    },
    bytes(
      "15 48 27 00 00 00 84 b6 bf b7 00 00 02 00 00 00 08 00 00 00",
      "'rpc.Nope",
      "'rpc: can't find method rpc.Nope",
    ),
  ],
];

for (const [what, frame, wire] of VECTORS) {
  Deno.test(`on the wire: ${what}`, () => {
    assertEquals(encode(frame), wire);
    assertEquals(decode(wire), [received(frame)]);
  });
}

/** Headers whose payload the reference does not spell out byte by byte. */
const HEADERS: [head: string, flags: number, length: number, options: number[], bits?: number][] = [
  ["14 08 c9 00 00 00 63 0b b0 12 00 00 c9 00 00 00", Flag.json, 201, [201]],
  ["14 00 3c 00 00 00 37 a6 78 93 01 00 3c 00 00 00", 0, 60, [60], Bit.stream],
  ["14 00 2e 00 00 00 23 39 68 69 00 00 2a 00 00 00", 0, 46, [42]],
  ["14 08 1c 01 00 00 ff 28 f8 02 00 00 fe 00 00 00", Flag.json, 284, [254]],
  ["14 80 4b 00 00 00 80 8e 76 d4 00 00 4b 00 00 00", Flag.proto, 75, [75]],
  ["14 00 76 00 00 00 6e 1e d1 67 00 00 76 00 00 00", 0, 118, [118]],
  ["14 00 08 00 00 00 c1 c9 31 ec 00 00 08 00 00 00", 0, 8, [8]],
  ["14 00 75 00 00 00 80 b1 64 75 00 00 71 00 00 00", 0, 117, [113]],
  ["14 00 72 00 00 00 39 89 b3 e8 00 00 72 00 00 00", 0, 114, [114]],
  ["14 00 05 00 00 00 1c 11 5b 1e 00 00 05 00 00 00", 0, 5, [5]],
  ["14 04 73 00 00 00 9c 48 8f a5 00 00 6c 00 00 00", Flag.raw, 115, [108]],
  ["15 08 12 00 00 00 5e e6 b9 28 00 00 01 00 00 00 0b 00 00 00", Flag.json, 18, [1, 11]],
  ["15 80 09 00 00 00 93 cd 37 2e 00 00 08 00 00 00 09 00 00 00", Flag.proto, 9, [8, 9]],
  ["15 80 0f 00 00 00 4f 92 5c 0b 00 00 08 00 00 00 09 00 00 00", Flag.proto, 15, [8, 9]],
  ["15 80 5f 00 00 00 ed 9d 51 c0 00 00 09 00 00 00 09 00 00 00", Flag.proto, 95, [9, 9]],
  ["15 80 4a 00 00 00 40 3a 96 a7 00 00 0b 00 00 00 0c 00 00 00", Flag.proto, 74, [11, 12]],
];

Deno.test("the headers of the reference come out as they are", () => {
  for (const [head, flags, length, options, bits = 0] of HEADERS) {
    const payload = new Uint8Array(length).fill(7);
    const wire = new Uint8Array([...bytes(head), ...payload]);
    assertEquals(encode({ flags, bits, options, parts: [payload] }), wire);
    assertEquals(decode(wire), [{ flags, bits, options, payload }]);
  }
});

Deno.test("the checksum is that of zlib", () => {
  assertEquals(crc32(utf8("123456789")), 0xcbf43926);
  assertEquals(crc32(utf8("x123456789x"), 1, 10), 0xcbf43926);
});

Deno.test("frames come out whole however the bytes come", async () => {
  await forSeeds(150, (random) => {
    const frames = Array.from({ length: random.int(1, 6) }, () => someFrame(random));
    const wire = joined(frames.map(encode));
    const sizes = random.chance(0.2)
      ? [1]
      : Array.from({ length: 5 }, () => random.int(1, random.pick([3, 100, 70_000])));
    const decoder = new FrameDecoder();
    assertEquals(decode(wire, sizes, decoder), frames.map(received));
    assertEquals([decoder.rest().length, decoder.missing()], [0, undefined]);
  });
});

Deno.test("a frame that was cut is missing something, and is never handed out", async () => {
  await forSeeds(100, (random) => {
    const wire = encode(someFrame(random));
    const decoder = new FrameDecoder();
    assertEquals(decode(wire.subarray(0, random.int(1, wire.length - 1)), [777], decoder), []);
    assert(decoder.missing() !== undefined);
  });
});

Deno.test("garbage is refused as a broken frame and as nothing else, and takes no room", async () => {
  await forSeeds(300, (random) => {
    const wire = random.chance(0.5)
      ? joined([encode(someFrame(random)), garbage(random)])
      : damaged(random, encode(someFrame(random)));
    const decoder = new FrameDecoder();
    try {
      decode(wire, [random.int(1, 5000)], decoder);
    } catch (error) {
      assert(error instanceof FrameBroken, String(error));
      assertEquals(assertThrows(() => decoder.next(), FrameBroken), error, "for ever after");
    }
    assert(decoder.space().buffer.byteLength <= Math.max(32 * 1024, 2 * wire.length));
  });
});

Deno.test("a length is not believed before its bytes are there", () => {
  for (const length of [900 * 1024 * 1024, MAX_PAYLOAD]) {
    const decoder = new FrameDecoder();
    const wire = joined([headOf(length), new Uint8Array(100_000)]);
    assertEquals(decode(wire, [8192], decoder), []);
    assert(decoder.space().buffer.byteLength <= 2 * wire.length);
    assertStringIncludes(decoder.missing()!, `100000 of ${length} bytes`);
  }
});

Deno.test("too large, wrong version, wrong header length, wrong checksum: refused by the first bytes", () => {
  const refused = (wire: Uint8Array, maxPayload?: number) =>
    assertThrows(() => decode(wire, [1], new FrameDecoder(maxPayload)), FrameBroken).message;
  assertStringIncludes(refused(headOf(3_000_000_000)), "a payload of 3000000000 bytes, and 1073");
  assertStringIncludes(refused(headOf(101), 100), "a payload of 101 bytes, and 100 are allowed");
  assertStringIncludes(refused(bytes("23")), "version 2");
  assertStringIncludes(refused(bytes("12")), "a header of 2 words");
  assertStringIncludes(refused(bytes("1e")), "11 options");
  const wrong = headOf(5);
  wrong[6] ^= 1;
  assertStringIncludes(refused(wrong), "a wrong checksum");
});

Deno.test("ten options are taken, eleven are neither taken nor sent", () => {
  const options = Array.from({ length: 10 }, (_, i) => 0xfffffff0 + i);
  const frame = { flags: 4, options, parts: [utf8("x")] };
  assertEquals(decode(encode(frame), [1]), [received(frame)]);
  assertThrows(() => encode({ flags: 0, options: [...options, 1] }), RangeError);
});

Deno.test("a payload is its receiver's alone", () => {
  for (const size of [10, 100_000]) {
    const frames = [1, 2].map((fill) => ({
      flags: 0,
      parts: [new Uint8Array(size).fill(fill)],
    }));
    const [first, second] = decode(joined(frames.map(encode)), [70_000]);
    second.payload.fill(9);
    assertEquals(first.payload, new Uint8Array(size).fill(1));
  }
});

Deno.test("the header and the context of a large frame are one piece, its body is not copied", () => {
  const body = new Uint8Array(200_000);
  const [first, ...others] = pieces(request(Flag.json, utf8("CTX"), [body, body]));
  assertEquals(first.length, 12 + 4 + 3);
  assert(others.length === 2 && others.every((piece) => piece === body));
  assertEquals(pieces(request(Flag.json, body)).map((piece) => piece.length), [16, 200_000]);
  assertEquals(pieces(request(Flag.json, utf8("CTX"), [utf8("body")])).length, 1);
});

Deno.test("an answer is taken apart where its option says, or not at all", () => {
  const answer = (options: number[], payload: string): Frame => ({
    flags: 0,
    bits: 0,
    options,
    payload: utf8(payload),
  });
  for (const [at, context, body] of [[3, "CTX", "body"], [0, "", "CTXbody"], [7, "CTXbody", ""]]) {
    const parts = split(answer([at as number], "CTXbody"));
    assertEquals([text(parts.context), text(parts.body)], [context, body]);
  }
  const refused = (frame: Frame) => assertThrows(() => split(frame), FrameBroken).message;
  assertStringIncludes(refused(answer([8], "CTXbody")), "shall be 8 bytes long, and the whole");
  assertStringIncludes(refused(answer([0xffffffff], "")), "4294967295");
  assertStringIncludes(refused(answer([], "CTXbody")), "has one option, and this one has 0");
  assertStringIncludes(refused(answer([3, 4], "CTXbody")), "this one has 2");
});

/** What arrives when `frame` is sent. */
function received({ flags, bits = 0, options = [], parts = [] }: OutFrame): Frame {
  return { flags, bits, options: [...options], payload: joined(parts) };
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function someFrame(random: Random): OutFrame {
  const size = random.pick([0, 1, 50, 16_000, 16_384, 20_000, 150_000]);
  return {
    flags: random.int(0, 255),
    bits: random.int(0, 15),
    options: Array.from({ length: random.int(0, 10) }, () => random.int(0, 0xffffffff)),
    parts: [garbage(random, random.int(0, size)), garbage(random, 3)],
  };
}

function garbage(random: Random, size = random.int(1, 200)): Uint8Array {
  return Uint8Array.from({ length: size }, () => random.int(0, 255));
}

function damaged(random: Random, wire: Uint8Array): Uint8Array {
  for (let times = random.int(1, 3); times > 0; times--) {
    wire[random.int(0, Math.min(11, wire.length - 1))] = random.int(0, 255);
  }
  return wire;
}

/** A header that announces `length` bytes. */
function headOf(length: number): Uint8Array<ArrayBuffer> {
  const head = encode({ flags: 0 });
  const view = new DataView(head.buffer);
  view.setUint32(2, length, true);
  view.setUint32(6, crc32(head, 0, 6), true);
  return head;
}
