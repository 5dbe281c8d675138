/** Real workers behind the plugin: PHP straight on the protocol, and the kit on Deno. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { TcpConfig, TcpServerConfig } from "../../../../lib/config/roadrunner/tcp.ts";
import type { RawPeer } from "../../../kit/raw_http.ts";
import { until } from "../../../kit/wait.ts";
import { Bench, type Wanted } from "../../pool/kit.ts";
import { HOST, Stage, tcpOf, withTcp } from "./kit.ts";

const PHP = new URL("../../../fixtures/php/tcp_worker.php", import.meta.url).pathname;
const KIT = new URL("../../worker/workers/tcp.ts", import.meta.url).pathname;

/** An event as the fixture writes it down. */
type Seen = [uuid: string, event: string, server: string, body: string, pid: number];

/** Workers live on addresses. */
class Live implements AsyncDisposable {
  readonly bench = new Bench();
  stage!: Stage;

  static async with(
    servers: Record<string, Partial<TcpServerConfig>> = { main: {} },
    wanted: Wanted = {},
    argv = (live: Live) => ["php", PHP, live.log, live.bench.path("once")],
  ): Promise<Live> {
    const live = new Live();
    const { settings } = live.bench.spec({ num_workers: 1, ...wanted });
    const tcp: TcpConfig = { ...tcpOf(servers), pool: settings };
    const config = withTcp(tcp);
    live.stage = new Stage(config, {
      open: ({ plugin, name, settings }, { release_id: release }) => {
        const spec = live.bench.spec();
        const worker = { ...spec.worker, argv: argv(live) };
        return live.bench.open({ ...spec, plugin, name, worker, settings, release });
      },
    });
    await live.stage.intake.start();
    live.stage.intake.swap(await live.stage.build(config));
    return live;
  }

  get log(): string {
    return this.bench.path("events.log");
  }

  /** Every event that workers saw, in the order in which they saw them. */
  seen(): Seen[] {
    const lines = Deno.readTextFileSync(this.log).split("\n").filter((line) => line !== "");
    return lines.map((line) => JSON.parse(line));
  }

  connect(server = "main"): Promise<RawPeer> {
    return this.stage.connect(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stage[Symbol.asyncDispose]();
    await this.bench[Symbol.asyncDispose]();
  }
}

async function say(client: RawPeer, text: string): Promise<string> {
  await client.send(`${text}\r\n`);
  return (await client.until("\n")).trimEnd();
}

Deno.test("PHP: events in order, their context, every verb, exactly one CLOSE", async () => {
  await using live = await Live.with({ main: {}, greet: { delimiter: "|" } }, { num_workers: 3 });
  using client = await live.connect();
  const { port } = client.conn.localAddr as Deno.NetAddr;
  const { uuid, pid, ...rest } = JSON.parse(await say(client, "who"));
  assertEquals(rest, { remote_addr: `${HOST}:${port}`, server: "main", event: "DATA" });
  assert(pid > 0);
  await client.send("quiet\r\n".repeat(20) + "a\r\nb\r");
  assertEquals(await client.until("\n"), "echo:a\r\n");
  await client.send("\nbye\r\n");
  assertEquals(await client.rest(), "echo:b\r\nbye\n");
  client.close();
  await live.stage.empty();
  const mine = live.seen().filter(([one]) => one === uuid).map(([, event, , body]) => event + body);
  assertEquals(mine, [
    "CONNECTED",
    "DATAwho\r\n",
    ...Array(20).fill("DATAquiet\r\n"),
    "DATAa\r\n",
    "DATAb\r\n",
    "DATAbye\r\n",
    "CLOSE",
  ]);
  using greeted = await live.connect("greet");
  assertEquals(await greeted.until("\n"), "hello\n");
  await greeted.send("x\r\ny|");
  assertEquals(await greeted.until("|"), "echo:x\r\ny|");
});

Deno.test("PHP: a worker that dies in an event costs its connection only", async () => {
  await using live = await Live.with({ main: {} }, { num_workers: 2 });
  using victim = await live.connect();
  using other = await live.connect();
  await say(other, "a");
  await victim.send("die\r\n");
  assertEquals(await victim.rest(), "");
  assertEquals(await say(other, "b"), "echo:b");
  using next = await live.connect();
  assertEquals(await say(next, "c"), "echo:c");
  const [{ plugin, kind, target }] = live.stage.events("request_failed");
  assertEquals([plugin, kind], ["tcp", "died"]);
  assertMatch(target, /^DATA main /);
  const closes = live.seen().filter(([, event]) => event === "CLOSE");
  assertEquals(closes, [], "no CLOSE after a failure");
});

Deno.test("PHP: an error frame, garbage, a print: the connection is closed with nothing written", async () => {
  await using live = await Live.with();
  for (const text of ["error broken", "verb NONSENSE", "print oops"]) {
    using client = await live.connect();
    await client.send(`${text}\r\n`);
    assertEquals(await client.rest(), "", text);
  }
  const kinds = live.stage.events("request_failed").map(({ kind }) => kind);
  assertEquals(kinds, ["worker_error", "broken", "broken"]);
  using client = await live.connect();
  assertEquals(await say(client, "fine"), "echo:fine");
});

Deno.test("PHP: a worker that asks to be replaced: the event goes to another one", async () => {
  await using live = await Live.with();
  using client = await live.connect();
  assertEquals(await say(client, "stop"), "another");
});

Deno.test("PHP: a worker that never answers CLOSE is killed by exec_ttl, its client long gone", async () => {
  await using live = await Live.with({ mute: {} }, { supervisor: { exec_ttl: 500 } });
  using client = await live.connect("mute");
  assertEquals(await say(client, "a"), "echo:a");
  assertEquals(await say(client, "bye"), "bye");
  assertEquals(await client.ended(), "end");
  client.close();
  await live.stage.empty();
  assertEquals(
    live.stage.events("request_failed").map(({ kind, target }) => [
      kind,
      target.split(" ")[0],
    ]),
    [["timeout", "CLOSE"]],
  );
  using next = await live.connect("mute");
  assertEquals(await say(next, "b"), "echo:b");
});

Deno.test("PHP: a full queue turns events away: closed at once, and the pool says how many", async () => {
  await using live = await Live.with({ main: {} }, { max_queue_size: 1 });
  const told = live.bench.fifo("told");
  const gate = live.bench.fifo("gate");
  using busy = await live.connect();
  assertEquals(await say(busy, "a"), "echo:a");
  await busy.send(`wait ${told.path} ${gate.path}\r\n`);
  await told.line();
  using turnedAway = await live.connect();
  assertEquals(await turnedAway.rest(), "");
  gate.release();
  assertEquals(await busy.until("\n"), "waited\n");
  assertEquals(live.stage.counts.values["failed_events main queue_full"], 1);
  assertEquals(live.stage.events("request_failed"), []);
});

Deno.test("PHP: large messages and answers", async () => {
  await using live = await Live.with({ main: { read_buf_size: 4_000_000 } });
  using client = await live.connect();
  const text = "0123456789".repeat(300_000);
  const [echo] = await Promise.all([client.bytes(text.length + 7), client.send(`${text}\r\n`)]);
  assertEquals(echo, `echo:${text}\r\n`);
  await client.send("big 5000000\r\n");
  assertEquals((await client.bytes(5_000_000)).length, 5_000_000);
});

Deno.test("PHP: 1,000 connections at a time, each in order and with one CLOSE", async () => {
  await using live = await Live.with({ main: {} }, { num_workers: 4 });
  const clients = await Promise.all(Array.from({ length: 1000 }, () => live.connect()));
  await until("all are there", () => live.stage.connections === 1000);
  await Promise.all(clients.map(async (client, n) => {
    await client.send(`a${n}\r\nb${n}\r\n`);
    assertEquals(await client.until("\n"), `echo:a${n}\r\n`);
    assertEquals(await client.until("\n"), `echo:b${n}\r\n`);
    client.close();
  }));
  await live.stage.empty();
  const byConnection = Map.groupBy(live.seen(), ([uuid]) => uuid);
  assertEquals(byConnection.size, 1000);
  for (const events of byConnection.values()) {
    const names = events.map(([, event, , body]) => `${event} ${body.slice(0, 1)}`);
    assertEquals(names, ["CONNECTED ", "DATA a", "DATA b", "CLOSE "]);
  }
});

Deno.test("the worker kit on Deno speaks it, too", async () => {
  const argv = () => [Deno.execPath(), "run", "-A", "--quiet", KIT];
  await using live = await Live.with({ main: {} }, {}, argv);
  using client = await live.connect();
  await client.send("one\r\ntwo\r\n");
  assertEquals(await client.bytes(10), "one\r\ntwo\r\n");
  await client.send("throw\r\n");
  assertEquals(await client.rest(), "");
  using second = await live.connect();
  await second.send("bye\r\n");
  assertEquals(await second.rest(), "bye\r\n");
  const [{ kind, error }] = live.stage.events("request_failed");
  assertEquals([kind, error.split("\n")[0]], ["worker_error", "Error: tcp broke"]);
});
