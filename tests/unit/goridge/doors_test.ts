/** Where workers connect: who gets in, as whose relay, and what strangers cost. */

import {
  assert,
  assertEquals,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { Flag } from "../../../lib/goridge/codes.ts";
import { encode } from "../../../lib/goridge/frame.ts";
import { relayDoors } from "../../../lib/goridge/relay_doors.ts";
import type { Relay } from "../../../lib/goridge/relay.ts";
import { realClock } from "../../../lib/os/clock.ts";
import { ManualClock, turn } from "../../kit/manual_clock.ts";
import { Scratch } from "../../kit/scratch.ts";
import { soon, until } from "../../kit/wait.ts";
import { isRoot, sentenceOfAsync } from "../os/machine.ts";
import { utf8 } from "./bytes.ts";
import { Peers } from "./peers.ts";

const nobody = { user: "nobody", uid: 65534, gid: 65534, home: "/nonexistent" };

/** Doors with the events they emitted. */
function doorsOf(clock = realClock) {
  const events: { reason: string; connections: number }[] = [];
  const emit = (_name: string, facts: unknown) => void events.push(facts as typeof events[0]);
  return { doors: relayDoors({ clock, emit }), events };
}

/** Connects to a DSN of either kind. */
function connect(dsn: string): Promise<Deno.Conn> {
  if (dsn.startsWith("unix://")) return Deno.connect({ transport: "unix", path: dsn.slice(7) });
  return Deno.connect({ hostname: "127.0.0.1", port: Number(dsn.split(":").at(-1)) });
}

/** Says that it is a worker with this pid. */
async function claim(conn: Deno.Conn, answer: string, flags: number = Flag.control): Promise<void> {
  await conn.read(new Uint8Array(100)); // the question
  await conn.write(encode({ flags, parts: [utf8(answer)] }));
}

/** Resolves when the other side has closed; what it sent is thrown away. */
async function closed(conn: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(100);
  while (await conn.read(buffer).catch(() => null) !== null);
}

const expecting = (pid: number, signal = new AbortController().signal) => ({
  isIt: (reported: number) => reported === pid,
  signal,
});

Deno.test("handshakes run side by side, each relay is its worker's, a silent one blocks nobody", async () => {
  const { doors } = doorsOf();
  const door = await doors.open("tcp://127.0.0.1:0", undefined);
  using silent = await connect(door.dsn);
  using half = await connect(door.dsn);
  await half.write(Uint8Array.of(0x13));
  const expected = [1001, 1002, 1003].map((pid) => door.expect(expecting(pid)));
  const conns = await Promise.all([1, 2, 3].map(() => connect(door.dsn)));
  // In another order than they are waited for.
  for (const [i, conn] of [...conns.entries()].reverse()) {
    await claim(conn, `{"pid":${1001 + i}}`);
    const relay = await soon("the relay", expected[i]);
    await relay.send({ flags: 0, parts: [utf8(`you are ${i}`)] });
    const buffer = new Uint8Array(100);
    const got = await conn.read(buffer);
    assertStringIncludes(new TextDecoder().decode(buffer.subarray(0, got!)), `you are ${i}`);
    relay.close();
    conn.close();
  }
  door.close();
  await closed(silent);
});

Deno.test("who is not waited for, or says something else, is sent away and counted", async () => {
  const { doors, events } = doorsOf();
  const door = await doors.open("tcp://127.0.0.1:0", undefined);
  const expected = door.expect(expecting(1001));
  const said: [string, number?][] = [
    ['{"pid":999}'],
    ['{"pid":0}'],
    ['{"pid":"1001"}'],
    ["null"],
    ["no json"],
    ['{"pid":1001}', Flag.json],
    ["boom", Flag.error],
  ];
  for (const [answer, flags] of said) {
    using conn = await connect(door.dsn);
    await claim(conn, answer, flags);
    await soon("being sent away", closed(conn));
  }
  using text = await connect(door.dsn);
  await text.write(utf8("GET / HTTP/1.1\r\n\r\n"));
  await soon("being sent away", closed(text));
  assertEquals(events.map(({ reason, connections }) => [reason, connections]), [
    ["nobody waits for a worker with pid 999", 1],
  ], "the log hears of the first, and not of each");
  using conn = await connect(door.dsn);
  await claim(conn, '{"pid":1001}');
  (await soon("the relay", expected)).close();
  door.close();
});

Deno.test("what was wrong with those sent away is said now and then", async () => {
  const clock = new ManualClock();
  const { doors, events } = doorsOf(clock);
  const door = await doors.open("tcp://127.0.0.1:0", undefined);
  const stranger = async (answer: string) => {
    using conn = await connect(door.dsn);
    await claim(conn, answer, Flag.error);
    await closed(conn);
  };
  for (let i = 0; i < 4; i++) await stranger(`n ${i}`);
  await clock.advance(10_000);
  await stranger("late");
  assertEquals(events.map(({ connections }) => connections), [1, 4]);
  assertEquals(events[1].reason, `the worker answered the handshake with an error: "late"`);
  door.close();
});

Deno.test("a connection that says nothing is closed in the end, and with too many the oldest", async () => {
  const clock = new ManualClock();
  const { doors, events } = doorsOf(clock);
  const door = await doors.open("tcp://127.0.0.1:0", undefined);
  const silent: Deno.Conn[] = [];
  for (let i = 0; i < 257; i++) {
    const conn = await connect(door.dsn);
    await conn.read(new Uint8Array(100)); // it has been asked, so it is counted
    silent.push(conn);
  }
  await soon("the oldest being closed", closed(silent[0]));
  const last = closed(silent[256]);
  await clock.advance(60_000);
  await soon("the others being closed", last);
  await until("the event", () => events.length > 0);
  assertEquals(events[0].reason, "it did not say who it is");
  for (const conn of silent) conn.close();
  door.close();
});

Deno.test("waiting ends with its signal, and with the door", async () => {
  const { doors } = doorsOf();
  const door = await doors.open("tcp://127.0.0.1:0", undefined);
  const abort = new AbortController();
  const given = door.expect(expecting(1001, abort.signal));
  const kept = door.expect(expecting(1002));
  abort.abort("enough");
  assertEquals(await given.catch((reason) => reason), "enough");
  assertEquals(await door.expect(expecting(1, abort.signal)).catch((reason) => reason), "enough");
  const ended = sentenceOfAsync(kept);
  door.close();
  assertEquals(await ended, `the relay address "${door.dsn}" was closed`);
});

Deno.test("an address is shared, and free again after its last user", async () => {
  using scratch = new Scratch();
  const { doors } = doorsOf();
  for (const dsn of ["tcp://127.0.0.1:0", `unix://${scratch.path("relay")}`]) {
    const [first, second] = await Promise.all([
      doors.open(dsn, undefined),
      doors.open(dsn, undefined),
    ]);
    assertEquals(first.dsn, second.dsn);
    first.close();
    first.close();
    const expected = second.expect(expecting(7));
    using conn = await connect(second.dsn);
    await claim(conn, '{"pid":7}');
    (await soon("the relay", expected)).close();
    second.close();
    await assertRejects(() => connect(second.dsn));
    const again = await doors.open(first.dsn, undefined);
    again.close();
  }
  assertEquals([...Deno.readDirSync(scratch.dir)], []);
});

Deno.test("an address that is closed can be opened again in the same turn", async () => {
  const { doors } = doorsOf();
  const first = await doors.open("tcp://127.0.0.1:0", undefined);
  let door = first;
  // Also by another name of it.
  for (const host of ["127.0.0.1", "localhost", "127.0.0.1"]) {
    door.close();
    door = await soon("the address", doors.open(first.dsn.replace("127.0.0.1", host), undefined));
  }
  const expected = door.expect(expecting(1001));
  using conn = await connect(door.dsn);
  await claim(conn, `{"pid":1001}`);
  (await soon("the relay", expected)).close();
  door.close();
});

Deno.test("a Unix socket is its owner's alone; a dead one is replaced, a living one and a file are not", async () => {
  using scratch = new Scratch();
  const { doors } = doorsOf();
  const path = scratch.path("relay");
  const dsn = `unix://${path}`;
  // Left by somebody who was killed: bound, and nobody listens any more.
  const left = Deno.listen({ transport: "unix", path: scratch.path("left") });
  Deno.renameSync(scratch.path("left"), path);
  left.close();
  const door = await doors.open(dsn, isRoot ? nobody : undefined);
  const { mode, uid, gid } = Deno.statSync(path);
  assertEquals(mode! & 0o777, 0o600);
  if (isRoot) assertEquals([uid, gid], [65534, 65534]);
  assertStringIncludes(
    await sentenceOfAsync(doorsOf().doors.open(dsn, undefined)),
    `cannot open the relay socket "${path}": another program answers there | stop that program`,
  );
  door.close();
  const file = scratch.write("file", "precious");
  assertStringIncludes(
    await sentenceOfAsync(doors.open(`unix://${file}`, undefined)),
    "something that is not a socket lies there",
  );
  assertEquals(scratch.read("file"), "precious");
});

Deno.test({
  name: "a shared Unix socket belongs to the user who came last of those still there",
  ignore: !isRoot,
  async fn() {
    using scratch = new Scratch();
    const { doors } = doorsOf();
    const path = scratch.path("relay");
    const owner = () => Deno.statSync(path).uid;
    const first = await doors.open(`unix://${path}`, undefined);
    const second = await doors.open(`unix://${path}`, nobody);
    const third = await doors.open(`unix://${path}`, { uid: 7777, gid: 7777 });
    assertEquals(owner(), 7777);
    second.close();
    assertEquals(owner(), 7777);
    third.close();
    assertEquals(owner(), 0);
    first.close();
  },
});

Deno.test({
  name: "a PHP worker of another user gets in through its socket",
  ignore: !isRoot,
  async fn() {
    await using peers = new Peers();
    const { relay, exited } = await peers.worker("unix", "relay_worker.php", nobody);
    const ended = relay.receive();
    relay.close();
    assertEquals(await ended, undefined);
    assertNotEquals((await exited).code, 3, "it was connected");
  },
});

Deno.test("a bad address is refused with those that would do", async () => {
  const { doors } = doorsOf();
  const said = (dsn: string) => sentenceOfAsync(doors.open(dsn, undefined));
  for (
    const dsn of ["", "tcp://", "tcp://127.0.0.1", "tcp://127.0.0.1:65536", "unix://a", "http://x"]
  ) {
    assertEquals(
      await said(dsn),
      `cannot listen for workers on "${dsn}": that is no address | ` +
        "set server.relay to pipes, to tcp://127.0.0.1:7000, or to unix:///run/app/relay.sock",
    );
  }
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const dsn = `tcp://127.0.0.1:${taken.addr.port}`;
  assertStringIncludes(await said(dsn), `workers on "${dsn}": address already in use | set server`);
  assertStringIncludes(
    await said("unix:///nope/relay"),
    `cannot open the relay socket in "/nope"`,
  );
  assertStringIncludes(
    await said("tcp://no.such.host.invalid:0"),
    `cannot listen for workers on "tcp://no.such.host.invalid:0"`,
  );
});

Deno.test("an address that could not be bound can be asked for again", async () => {
  const { doors } = doorsOf();
  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const dsn = `tcp://127.0.0.1:${taken.addr.port}`;
  await assertRejects(() => doors.open(dsn, undefined));
  taken.close();
  await turn();
  let relay: Relay | undefined;
  const door = await doors.open(dsn, undefined);
  const expected = door.expect(expecting(5)).then((got) => relay = got);
  using conn = await connect(door.dsn);
  await claim(conn, '{"pid":5}');
  await soon("the relay", expected);
  assert(relay !== undefined);
  relay.close();
  door.close();
});
