/** What every relay does, whatever it goes over. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Bit, Flag } from "../../../lib/goridge/codes.ts";
import { PONG, STOP, STREAM_STOP } from "../../../lib/goridge/control.ts";
import { crc32 } from "../../../lib/goridge/crc32.ts";
import { request, split } from "../../../lib/goridge/exchange.ts";
import { encode } from "../../../lib/goridge/frame.ts";
import { shakeHands } from "../../../lib/goridge/handshake.ts";
import { type Frame, FrameBroken, type Relay } from "../../../lib/goridge/relay.ts";
import { soon } from "../../kit/wait.ts";
import { bytes, text, utf8 } from "./bytes.ts";
import { type Kind, KINDS, Peers } from "./peers.ts";

const WORKER = "relay_worker.php";

/** One test for each kind of relay. */
function everyRelay(name: string, run: (peers: Peers, kind: Kind) => Promise<void>): void {
  for (const kind of KINDS) {
    Deno.test(`${kind}: ${name}`, async () => {
      await using peers = new Peers();
      await soon(name, run(peers, kind));
    });
  }
}

/** Context and body of the answer to a request. */
async function exchange(relay: Relay, context: string, ...body: Uint8Array[]) {
  assert(await relay.send(request(Flag.json, utf8(context), body)));
  const answer = split(await next(relay));
  return { context: text(answer.context), body: answer.body };
}

async function next(relay: Relay): Promise<Frame> {
  const frame = await relay.receive();
  assert(frame !== undefined, "the worker has closed");
  return frame;
}

/** What receive() fails with. */
function brokenness(relay: Relay): Promise<FrameBroken> {
  return assertRejects(() => relay.receive(), FrameBroken);
}

everyRelay("a PHP worker shakes hands, answers, and stops when told", async (peers, kind) => {
  const { relay, pid, exited } = await peers.worker(kind, WORKER);
  assertEquals((await exchange(relay, "pid")).context, String(pid));
  assertEquals(text((await exchange(relay, "upper", utf8("hello"))).body), "HELLO");
  assertEquals(await shakeHands(relay, Deno.pid), pid, "asked again, it answers again");
  await relay.send(STOP);
  assertEquals(await exited, { code: 0, signal: null });
  assertEquals(await relay.receive(), undefined);
});

everyRelay("payloads of every size go there and back", async (peers, kind) => {
  const { relay } = await peers.worker(kind, WORKER);
  for (const size of [0, 1, 8180, 16_384, 65_536, 70_000, 3_000_000]) {
    const body = new Uint8Array(size).map((_, at) => at * 31 + (at >> 8));
    const half = Math.floor(size / 2);
    const answer = await exchange(relay, "echo", body.subarray(0, half), body.subarray(half));
    assertEquals(answer.context, "ok");
    assert(
      answer.body.length === size && answer.body.every((byte, at) => byte === body[at]),
      `${size} bytes`,
    );
  }
});

everyRelay(
  "an error answer is a frame as any other, and the worker lives on",
  async (peers, kind) => {
    const { relay } = await peers.worker(kind, WORKER);
    await relay.send(request(0, utf8("fail boom")));
    const { flags, options, payload } = await next(relay);
    assertEquals([flags, options, text(payload)], [Flag.error, [], "boom"]);
    assertEquals((await exchange(relay, "echo")).context, "ok");
  },
);

everyRelay("a stream goes on after a pong, and ends early after a stop", async (peers, kind) => {
  const { relay } = await peers.worker(kind, WORKER);
  for (const [answer, chunks] of [[PONG, 9], [STREAM_STOP, 6]] as const) {
    await relay.send(request(0, utf8("stream 9")));
    const seen: string[] = [];
    let frame: Frame;
    do {
      frame = await next(relay);
      if (frame.bits & Bit.ping) await relay.send(answer);
      seen.push(text(frame.payload));
    } while (frame.bits & Bit.stream);
    const wanted = Array.from({ length: chunks }, (_, i) => `chunk ${i + 1}`);
    assertEquals(seen, [...wanted, ""]);
  }
});

everyRelay("a worker that is killed ends the relay; sending to it says so", async (peers, kind) => {
  const { relay, pid, exited } = await peers.worker(kind, WORKER);
  const received = relay.receive();
  Deno.kill(pid, "SIGKILL");
  assertEquals(await received, undefined);
  await exited;
  // The first may still have gone into the buffer of a socket that is closing.
  await relay.send(request(0, utf8("echo")));
  assertEquals(await relay.send(request(0, utf8("echo"))), false);
  assertEquals(await relay.receive(), undefined);
});

everyRelay("frames arrive one by one however their bytes do", async (peers, kind) => {
  const peer = await peers.raw(kind);
  const wire = encode({ flags: Flag.json, options: [2], parts: [utf8("abcd")] });
  for (const byte of wire) await peer.write(Uint8Array.of(byte));
  await peer.write(new Uint8Array([...wire, ...wire]));
  for (let i = 0; i < 3; i++) assertEquals(text((await next(peer.relay)).payload), "abcd");
});

everyRelay("the header and what follows leave in one piece", async (peers, kind) => {
  const peer = await peers.raw(kind);
  const frame = request(Flag.json, utf8("CTX"), [utf8("body")]);
  assert(await peer.relay.send(frame));
  assertEquals(await peer.read(), encode(frame));
});

everyRelay("two senders do not mix their frames", async (peers, kind) => {
  const peer = await peers.raw(kind);
  const frames = [1, 2].map((fill) => {
    const part = new Uint8Array(150_000).fill(fill);
    return request(0, utf8("CTX"), [part, part]);
  });
  const sent = Promise.all(frames.map((frame) => peer.relay.send(frame)));
  const wanted = frames.flatMap((frame) => [...encode(frame)]);
  const got: number[] = [];
  while (got.length < wanted.length) for (const byte of await peer.read()) got.push(byte);
  assert(got.every((byte, at) => byte === wanted[at]), "in order and whole");
  assertEquals(await sent, [true, true]);
});

everyRelay("an end inside a frame is not an end between frames", async (peers, kind) => {
  for (const cut of [1, 12, 17]) {
    const peer = await peers.raw(kind);
    const wire = encode(request(0, utf8("abcdef")));
    await peer.write(new Uint8Array([...wire, ...wire.subarray(0, cut)]));
    await next(peer.relay);
    peer.end();
    const { message } = await brokenness(peer.relay);
    assertStringIncludes(message, "in the middle of a frame");
  }
});

everyRelay("what is no frame is shown: text as text, other bytes as bytes", async (peers, kind) => {
  const heard = async (...wire: string[]) => {
    const peer = await peers.raw(kind);
    await peer.write(bytes(...wire));
    peer.end();
    return await brokenness(peer.relay);
  };
  const who = kind === "pipes"
    ? "the worker printed to stdout"
    : "the worker sent what is no frame";
  const warning = await heard("'\nWarning: Undefined $x\nin  a.php\n", "13 01 02");
  assertEquals(warning.message, `${who}: "Warning: Undefined $x in a.php"`);
  assertEquals(warning.text, "Warning: Undefined $x\nin  a.php");
  assertEquals((await heard("1b", "'[31mred", "1b", "'[0m ü")).text, "red ü");
  const long = await heard("'" + "x".repeat(20_000));
  assertEquals(long.text, "x".repeat(500) + "…");
  assertStringIncludes((await heard("13 00 00 00 00 00 96 d1 80 35 00 00")).message, "checksum");
  const garbage = await heard("ff fe 00 01");
  assertEquals(garbage.text, "");
  assertStringIncludes(garbage.message, "version 15 (it begins with ff fe 00 01)");
});

everyRelay(
  "text that comes in pieces is shown whole, without waiting for an end",
  async (peers, kind) => {
    const peer = await peers.raw(kind);
    const broken = brokenness(peer.relay);
    await peer.write(utf8("Warn"));
    await peer.write(utf8("ing: x"));
    assertStringIncludes((await broken).message, `"Warning: x"`);
    assertEquals(await brokenness(peer.relay), await broken, "for ever after");
  },
);

everyRelay("a length is not believed", async (peers, kind) => {
  const peer = await peers.raw(kind);
  const head = encode({ flags: 0 });
  const view = new DataView(head.buffer);
  view.setUint32(2, 3_000_000_000, true);
  view.setUint32(6, crc32(head, 0, 6), true);
  await peer.write(head);
  assertStringIncludes((await brokenness(peer.relay)).message, "a payload of 3000000000 bytes");
});

everyRelay(
  "close() leaves nobody waiting, not even for a peer that does not read",
  async (peers, kind) => {
    const { relay, read } = await peers.raw(kind);
    const received = relay.receive();
    const sent = relay.send(request(0, utf8(""), [new Uint8Array(20_000_000)]));
    // It is under way, and then nobody reads on.
    for (let got = 0; got < 100_000;) got += (await read()).length;
    relay.close();
    relay.close();
    assertEquals([await received, await sent], [undefined, false]);
    assertEquals([await relay.receive(), await relay.send(STOP)], [undefined, false]);
  },
);

Deno.test("pipes: what PHP prints in place of a frame is told, whenever it is", async () => {
  await using peers = new Peers();
  const told = async (argv: string[]) => {
    const { relay } = peers.piped(argv);
    const shaken = soon("the end of the handshake", shakeHands(relay, Deno.pid));
    return (await assertRejects(() => shaken, FrameBroken)).message;
  };
  assertEquals(
    await told(["php", "/nope/worker.php"]),
    `the worker printed to stdout: "Could not open input file: /nope/worker.php"`,
  );
  const warning = await told(["php", "-d", "display_errors=1", "-r", "echo $x; fgets(STDIN);"]);
  assertStringIncludes(warning, "Undefined variable $x in Command line code on line 1");
  const { relay } = await peers.worker("pipes", WORKER);
  await relay.send(request(0, utf8("print Notice: something")));
  assertEquals((await brokenness(relay)).text, "Notice: something");
});
