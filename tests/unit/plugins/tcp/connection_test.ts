/** One connection: its events in order, what is done with the answers, and every way to its end. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path";
import { ManualClock } from "../../../kit/manual_clock.ts";
import { RawPeer } from "../../../kit/raw_http.ts";
import { pause, until } from "../../../kit/wait.ts";
import type { TcpServerConfig } from "../../../../lib/config/roadrunner/tcp.ts";
import { HOST, Stage } from "./kit.ts";

const fixture = (name: string) => join(import.meta.dirname!, "../../../fixtures/tls", name);
const TLS = { cert: fixture("cert.pem"), key: fixture("key.pem") };

/** How a client that sees the end of a connection saw it. */
async function closed(stage: Stage, client: RawPeer): Promise<void> {
  assertEquals(await client.ended(), "end");
  client.close();
  await stage.empty();
}

Deno.test("CONNECTED, DATA and CLOSE are told as RoadRunner tells them", async () => {
  await using stage = await Stage.live();
  using client = await stage.connect();
  const connected = await stage.expect("CONNECTED");
  const { port } = client.conn.localAddr as Deno.NetAddr;
  const { uuid } = connected.context;
  assertMatch(uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assertEquals(connected.request.flags, 0);
  assertEquals(
    new TextDecoder().decode(connected.request.context),
    `{"remote_addr":"${HOST}:${port}","server":"main","uuid":"${uuid}","event":"CONNECTED"}`,
  );
  connected.raw("WRITE", "hello\r\n");
  assertEquals(await client.until("\n"), "hello\r\n");
  await client.send("ping\r\n");
  const data = await stage.expect("DATA", "ping\r\n");
  assertEquals([data.context.uuid, data.request.what], [uuid, `DATA main ${HOST}:${port}`]);
  data.raw("CONTINUE");
  client.close();
  const close = await stage.expect("CLOSE");
  assertEquals(close.context.uuid, uuid);
  close.raw("CONTINUE");
  await stage.empty();
  assertEquals(stage.counts.values, {
    "connections main": 1,
    "events main CONNECTED": 1,
    "events main DATA": 1,
    "events main CLOSE": 1,
  });
});

Deno.test("two messages in one segment are two events, one after the other", async () => {
  await using stage = await Stage.live();
  using client = await stage.open();
  await client.send("a\r\nb\r\nc");
  const first = await stage.expect("DATA", "a\r\n");
  assertEquals(stage.pool.calls.length, 2, "the second waits for the first");
  first.raw("WRITE", "1");
  (await stage.expect("DATA", "b\r\n")).raw("WRITE", "2");
  assertEquals(await client.bytes(2), "12");
  await client.send("d\r");
  await client.send("\n");
  (await stage.expect("DATA", "cd\r\n")).raw("CLOSE");
  (await stage.expect("CLOSE")).raw("CLOSE");
  await closed(stage, client);
});

Deno.test("at the end of the stream what is left is told, then one CLOSE", async () => {
  await using stage = await Stage.live();
  using client = await stage.open();
  await client.send("a\r\nrest");
  (await stage.expect("DATA", "a\r\n")).raw("CONTINUE");
  await client.conn.closeWrite();
  // The client only ended its sending side: it can still be answered.
  (await stage.expect("DATA", "rest")).raw("WRITE", "got rest");
  assertEquals(await client.rest(), "got rest");
  (await stage.expect("CLOSE")).raw("CONTINUE");
  await stage.empty();
  assertEquals(stage.pool.calls.length, 4);
});

Deno.test("messages of a client that has left already are told all the same", async () => {
  await using stage = await Stage.live();
  using client = await stage.connect();
  const connected = await stage.expect("CONNECTED");
  await client.send("a\r\nb\r\n");
  await client.conn.closeWrite();
  connected.raw("CONTINUE");
  const first = await stage.expect("DATA", "a\r\n");
  client.close();
  first.raw("WRITE", "x".repeat(100_000));
  (await stage.expect("DATA", "b\r\n")).raw("WRITE", "y");
  (await stage.expect("CLOSE")).raw("CLOSE");
  await stage.empty();
});

Deno.test("WRITECLOSE: the client gets every byte and the end, though it goes on sending", async () => {
  await using stage = await Stage.live();
  using client = await stage.open();
  await client.send("bye\r\nand more that nobody reads\r\n");
  const answer = "x".repeat(3_000_000);
  (await stage.expect("DATA", "bye\r\n")).raw("WRITECLOSE", answer);
  const [text, close] = await Promise.all([client.rest(), stage.expect("CLOSE")]);
  assertEquals(text.length, answer.length);
  close.raw("");
  client.close();
  await stage.empty();
  assertEquals(stage.pool.calls.length, 3);
});

Deno.test("CONNECTED may be answered with the end, too", async () => {
  await using stage = await Stage.live();
  using client = await stage.connect();
  (await stage.expect("CONNECTED")).raw("WRITECLOSE", "full");
  (await stage.expect("CLOSE")).raw("CONTINUE");
  assertEquals(await client.rest(), "full");
  client.close();
  await stage.empty();
});

for (const verb of ["", "write", "WRITE\n", `{"verb":"WRITE"}`, "x".repeat(200)]) {
  const name = verb.length > 20 ? "long text" : JSON.stringify(verb);
  Deno.test(`an answer that is no verb (${name}): closed, with CLOSE, and told`, async () => {
    await using stage = await Stage.live();
    using client = await stage.open();
    await client.send("a\r\n");
    (await stage.expect("DATA", "a\r\n")).raw(verb, "never written");
    (await stage.expect("CLOSE")).raw("CLOSE");
    assertEquals(await client.rest(), "");
    client.close();
    await stage.empty();
    const [{ plugin, target, kind, error, status }] = stage.events("request_failed");
    assertEquals([plugin, kind, status], ["tcp", "broken", null]);
    assertMatch(target, /^DATA main 127\.0\.0\.1:\d+$/);
    assertMatch(error, /^it answered ".*", which is no verb$/);
  });
}

Deno.test("a worker that fails: closed, nothing written, no CLOSE, told and counted", async () => {
  for (const kind of ["died", "worker_error", "timeout", "broken", "no_worker"] as const) {
    await using stage = await Stage.live();
    using client = await stage.open();
    await client.send("a\r\nb\r\n");
    (await stage.expect("DATA", "a\r\n")).raw("WRITE", "1");
    (await stage.expect("DATA", "b\r\n")).fail(kind);
    assertEquals(await client.rest(), "1");
    await closed(stage, client);
    assertEquals(stage.pool.calls.length, 3);
    assertEquals(stage.counts.values[`failed_events main ${kind}`], 1);
    const told = stage.events("request_failed").map(({ kind, pid }) => [kind, pid]);
    assertEquals(told, kind === "no_worker" ? [] : [[kind, 4711]]);
  }
});

Deno.test("a streamed answer is none", async () => {
  await using stage = await Stage.live();
  using client = await stage.open();
  await client.send("a\r\n");
  const call = await stage.expect("DATA", "a\r\n");
  call.raw("WRITE", "part", true);
  await call.stopped;
  assertEquals(await client.rest(), "");
  await closed(stage, client);
  assertEquals(stage.events("request_failed").length, 1);
});

/** Sends, and resets when it is told to; Deno's own sockets cannot. */
const RESETTER = `
$socket = socket_create(AF_INET, SOCK_STREAM, SOL_TCP);
socket_set_option($socket, SOL_SOCKET, SO_LINGER, ["l_onoff" => 1, "l_linger" => 0]);
socket_connect($socket, "${HOST}", (int) $argv[1]);
socket_write($socket, "one\\r\\nhalf");
fgets(STDIN);
socket_close($socket);
`;

Deno.test("a client that resets: CLOSE, and what was no message is not told", async () => {
  await using stage = await Stage.live();
  const args = ["-r", RESETTER, "--", String(stage.portOf())];
  await using client = new Deno.Command("php", { args, stdin: "piped" }).spawn();
  (await stage.expect("CONNECTED")).raw("CONTINUE");
  const one = await stage.expect("DATA", "one\r\n");
  await client.stdin.close();
  await client.status;
  one.raw("CONTINUE");
  (await stage.expect("CLOSE")).raw("CLOSE");
  await stage.empty();
  assertEquals(stage.events("request_failed"), []);
});

Deno.test("while an event is at a worker nothing is read: the client is slowed down", async () => {
  await using stage = await Stage.live({ read_buf_size: 65_536 });
  using client = await stage.open();
  await client.send("first\r\n");
  const first = await stage.expect("DATA", "first\r\n");
  let sent = 0;
  const line = new TextEncoder().encode(`${"x".repeat(62_000)}\r\n`);
  const flood = (async () => {
    for (; sent < 1000; sent++) {
      for (let at = 0; at < line.length;) {
        at += await client.conn.write(line.subarray(at));
      }
    }
  })();
  let before = -1;
  await until("the client can send no more", async () => {
    const stuck = sent === before;
    before = sent;
    if (!stuck) await pause(100);
    return stuck;
  });
  assert(sent < 1000, "62 MB are taken by nobody");
  first.raw("CONTINUE");
  for (let n = 0; n < 1000; n++) {
    const call = await stage.pool.next();
    assertEquals(call.body.length, line.length);
    call.raw("CONTINUE");
  }
  await flood;
  client.close();
  (await stage.expect("CLOSE")).raw("CLOSE");
  await stage.empty();
});

Deno.test("a message longer than read_buf_size: closed, with CLOSE, and told", async () => {
  await using stage = await Stage.live({ read_buf_size: 1000 });
  using client = await stage.open();
  await client.send(`${"x".repeat(998)}\r\n`);
  (await stage.expect("DATA", `${"x".repeat(998)}\r\n`)).raw("CONTINUE");
  await client.send("x".repeat(1001));
  (await stage.expect("CLOSE")).raw("CLOSE");
  await closed(stage, client);
  const [{ server, reason, client: who, connections }] = stage.events("tcp_connections_cut");
  assertEquals([server, connections], ["main", 1]);
  assertEquals(reason, "a message is longer than read_buf_size");
  assertMatch(who, /^127\.0\.0\.1:\d+$/);
  assertEquals(stage.counts.values["cut_connections main too_long"], 1);
});

/** A stage on a clock of its own, with a client whose turn it is. */
async function timed(server: Partial<TcpServerConfig>) {
  const clock = new ManualClock();
  const stage = await Stage.live(server, { clock });
  return { clock, stage, client: await stage.open() };
}

Deno.test("idle_timeout counts only while it is the client's turn", async () => {
  const { clock, stage, client } = await timed({ idle_timeout: 5_000 });
  await using _ = stage;
  await client.send("a\r\n");
  const slow = await stage.expect("DATA", "a\r\n");
  await clock.advance(60_000);
  assertEquals(stage.connections, 1);
  slow.raw("WRITE", "1");
  await client.bytes(1);
  await clock.advance(4_000);
  await client.send("half");
  const close = stage.expect("CLOSE");
  await clock.advance(6_000);
  (await close).raw("CLOSE");
  await closed(stage, client);
  assertEquals(stage.counts.values["cut_connections main idle"], 1);
  assertEquals(stage.events("tcp_connections_cut"), []);
});

Deno.test("a client that never reads is closed after send_timeout, and costs no worker", async () => {
  const { clock, stage, client } = await timed({ send_timeout: 5_000 });
  await using _ = stage;
  await client.send("a\r\n");
  (await stage.expect("DATA", "a\r\n")).raw("WRITE", "x".repeat(50_000_000));
  const close = stage.expect("CLOSE");
  await until("the write is stuck, and its time over", async () => {
    await clock.advance(1_000);
    return stage.pool.calls.length === 3;
  });
  (await close).raw("CLOSE");
  client.close();
  await stage.empty();
  assertEquals(stage.counts.values["cut_connections main stalled"], 1);
  assertEquals(stage.events("tcp_connections_cut").length, 1);
});

Deno.test("a client that leaves its side open after the end is not waited for longer than 2 s", async () => {
  const { clock, stage, client } = await timed({});
  await using _ = stage;
  await client.send("a\r\n");
  (await stage.expect("DATA", "a\r\n")).raw("CLOSE");
  (await stage.expect("CLOSE")).raw("CLOSE");
  assertEquals(await client.rest(), "");
  await clock.advance(1_000);
  assertEquals(stage.connections, 1);
  await clock.advance(2_000);
  await stage.empty();
  client.close();
});

Deno.test("TLS: events as without it; who speaks none is refused and tells no worker", async () => {
  await using stage = await Stage.live({ tls: TLS });
  const port = stage.portOf();
  const caCerts = [Deno.readTextFileSync(fixture("ca.pem"))];
  const tls = await Deno.connectTls({ hostname: "localhost", port, caCerts });
  using client = new RawPeer(tls);
  await tls.handshake();
  (await stage.expect("CONNECTED")).raw("WRITE", "hello");
  assertEquals(await client.bytes(5), "hello");
  await client.send("a\r\n");
  (await stage.expect("DATA", "a\r\n")).raw("WRITECLOSE", "bye");
  (await stage.expect("CLOSE")).raw("CLOSE");
  assertEquals(await client.rest(), "bye");
  client.close();
  using plain = await stage.connect();
  await plain.send("plain\r\n\r\n");
  await plain.ended();
  await stage.empty();
  assertEquals(stage.events("tls_refused").length, 1);
  assertEquals(stage.pool.calls.length, 3);
});

Deno.test("TLS: a silent handshake ends after ten seconds, counted from its own beginning", async () => {
  const clock = new ManualClock();
  await using stage = await Stage.live({ tls: TLS }, { clock });
  await clock.advance(3_600_000);
  using silent = await stage.connect();
  await until("it is taken", () => stage.connections === 1);
  await clock.advance(9_000);
  assertEquals(stage.connections, 1);
  await clock.advance(3_000);
  await silent.ended();
  await stage.empty();
  assertEquals(stage.counts.values["cut_connections main handshake"], 1);
});

Deno.test("a Unix socket: its clients are of this machine", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const path = join(dir, "tcp.sock");
    await using stage = await Stage.live({ addr: { path } });
    using client = new RawPeer(await Deno.connect({ transport: "unix", path }));
    const connected = await stage.expect("CONNECTED");
    assertEquals(connected.context.remote_addr, "127.0.0.1:0");
    connected.raw("WRITECLOSE", "x");
    (await stage.expect("CLOSE")).raw("CLOSE");
    assertEquals(await client.rest(), "x");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("max_connections: one too many is closed at once and told in sums", async () => {
  const clock = new ManualClock();
  await using stage = await Stage.live({ max_connections: 2 }, { clock });
  using _one = await stage.open();
  using two = await stage.open();
  for (let n = 0; n < 3; n++) {
    using more = await stage.connect();
    await more.ended();
  }
  const sums = () => stage.events("tcp_connections_cut").map(({ connections }) => connections);
  assertEquals([sums(), stage.connections], [[1], 2]);
  await clock.advance(11_000);
  assertEquals(sums(), [1, 2]);
  assertEquals(stage.counts.values["cut_connections main limit"], 3);
  two.close();
  (await stage.expect("CLOSE")).raw("CLOSE");
  await until("there is room", () => stage.connections === 1);
  using _three = await stage.open();
});
