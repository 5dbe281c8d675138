/** The client: every call ends with an answer or with a Failure that says what is so. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { ControlClient } from "../../../lib/control/client.ts";
import type { LogRecord } from "../../../lib/control/operations.ts";
import { Failure } from "../../../lib/core/failure.ts";
import { realClock } from "../../../lib/os/clock.ts";
import type { EventRecord } from "../../../lib/telemetry/events.ts";
import { ManualClock } from "../../kit/manual_clock.ts";
import { Scratch } from "../../kit/scratch.ts";
import { until } from "../../kit/wait.ts";
import { close, DEPLOYED, event, Server, STATUS, step } from "./kit.ts";

async function failureOf(work: Promise<unknown>): Promise<Failure> {
  return await assertRejects(() => work, Failure) as Failure;
}

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of source) found.push(item);
  return found;
}

/** What somebody does with a connection and the request on it. */
type Answer = (connection: Deno.UnixConn, asked: string) => Promise<void>;

/** Something at a socket that is not our server: answers each connection as told. */
class Stranger implements AsyncDisposable {
  readonly scratch = new Scratch();
  readonly path = this.scratch.path("c.sock");
  readonly #listener = Deno.listen({ transport: "unix", path: this.path });
  readonly #held: Deno.UnixConn[] = [];
  readonly #serving: Promise<void>;

  constructor(answer: Answer) {
    this.#serving = this.#serve(answer);
  }

  async #serve(answer: Answer): Promise<void> {
    for await (const connection of this.#listener) {
      this.#held.push(connection);
      const asked = new Uint8Array(4096);
      const size = await connection.read(asked);
      // A connection without a request is the client's look whether somebody is there.
      if (size !== null) await answer(connection, new TextDecoder().decode(asked));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#serving;
    this.#held.forEach(close);
    this.scratch[Symbol.dispose]();
  }
}

/** A daemon that is well when it is met, and then answers so. */
function saying(text: string): Answer {
  return (connection, asked) =>
    strange(asked.startsWith("GET http://localhost/v1/health ") ? HEALTHY : text)(
      connection,
      asked,
    );
}

/** Somebody who says this, whatever is asked. */
function strange(text: string): Answer {
  return async (connection) => {
    await connection.write(new TextEncoder().encode(text));
    connection.close();
  };
}

const HEALTH = JSON.stringify({ status: "ok", application: "app", config: "/srv/supervisor.yaml" });
const HEALTHY = `HTTP/1.1 200 OK\r\ncontent-length: ${HEALTH.length}\r\n\r\n${HEALTH}`;

const NDJSON = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

Deno.test("every call gets its answer", async () => {
  await using server = await Server.open();
  const { client } = server;
  assertEquals(await client.status(), STATUS);
  assertEquals((await client.health()).status, "ok");
  assertEquals(await client.stop({ now: true }), STATUS);
  assertEquals((await client.restart({ policy: "companion" })).restarted, ["web"]);
  assertEquals((await client.scale({ name: "web", count: 2 })).previous, 1);
  assertEquals((await client.reload()).changes, []);
  assertEquals((await client.plan()).changes.length, 1);
  const steps: string[] = [];
  const deployed = await client.deploy({ release_path: "/a" }, (step) => steps.push(step.message));
  assertEquals([deployed, steps], [DEPLOYED, ["one", "two"]]);
  assertEquals(await client.rollback({}, () => {}), DEPLOYED);
  assertEquals(await all<EventRecord>(client.events({ limit: 1 })), [event(2)]);
  assertEquals((await all<LogRecord>(client.logs({ process: "web" })))[0].line, "hello");
});

Deno.test("the daemon's refusal comes back as it was", async () => {
  await using server = await Server.open();
  const failure = new Failure("no", { exit: 5, fix: "do this", detail: { pid: 3 } });
  server.operations.scale = () => Promise.reject(failure);
  const { message, exit, fix, detail } = await failureOf(
    server.client.scale({ name: "w", count: 1 }),
  );
  assertEquals([message, exit, fix, detail], ["no", 5, "do this", { pid: 3 }]);
  server.operations.deploy = () => Promise.reject(failure);
  const deploying = await failureOf(server.client.deploy({ release_path: "/a" }, () => {}));
  assertEquals([deploying.message, deploying.detail], ["no", { pid: 3 }]);
  const refused = await failureOf(server.client.deploy({ release_path: "a" }, () => {}));
  assertEquals(refused.exit, 2);
  server.operations.logs = () => {
    throw failure;
  };
  assertEquals((await failureOf(all(server.client.logs({})))).message, "no");
});

Deno.test("nobody there: exit 4 and how to start", async () => {
  using scratch = new Scratch();
  const path = scratch.path("c.sock");
  const client = new ControlClient(path, realClock);
  const missing = await failureOf(client.status());
  assertEquals(missing.message, `no daemon reachable at "${path}": there is no such socket`);
  assertStringIncludes(missing.fix!, "supervisor serve");
  assertEquals(missing.exit, 4);
  scratch.write("c.sock", "");
  const stale = await failureOf(client.deploy({ release_path: "/a" }, () => {}));
  assertEquals(stale.message, `no daemon reachable at "${path}": what lies there is not a socket`);
  assertEquals(stale.exit, 4);
  const long = await failureOf(new ControlClient(`/${"x".repeat(200)}`, realClock).health());
  assertEquals(long.exit, 4);
});

for (
  const [what, said] of [
    ["at once", ""],
    ["in the head", "HTTP/1.1 200 OK\r\ncontent-"],
    ["in the body", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"],
  ]
) {
  Deno.test(`a daemon that dies ${what} is told, not passed over`, async () => {
    await using stranger = new Stranger(saying(said));
    const failure = await failureOf(new ControlClient(stranger.path, realClock).restart({}));
    assertEquals(failure.message, 'the daemon ended before it answered "restart"');
    assertEquals(failure.exit, 1);
  });
}

for (
  const [what, said] of [
    ["without an end", `${NDJSON}${chunk(step("one"))}`],
    ["with a clean end", `${NDJSON}${chunk(step("one"))}0\r\n\r\n`],
    ["within a line", `${NDJSON}5\r\n{"typ\r\n0\r\n\r\n`],
  ]
) {
  Deno.test(`a deploy whose daemon dies, ${what}, has failed`, async () => {
    await using stranger = new Stranger(saying(said));
    const client = new ControlClient(stranger.path, realClock);
    const failure = await failureOf(client.deploy({ release_path: "/a" }, () => {}));
    assertEquals(failure.message, 'the daemon ended before it answered "deploy"');
  });
}

function chunk(record: unknown): string {
  const text = `${JSON.stringify(record)}\n`;
  return `${text.length.toString(16)}\r\n${text}\r\n`;
}

Deno.test("a follower of a daemon that dies is told", async () => {
  await using stranger = new Stranger(saying(`${NDJSON}${chunk(event(1))}`));
  const client = new ControlClient(stranger.path, realClock);
  const failure = await failureOf(all(client.events({ follow: true })));
  assertEquals(failure.message, 'the daemon ended before it answered "events"');
});

Deno.test("something else at the socket is called what it is", async () => {
  const said = "HTTP/1.1 404 Not Found\r\ncontent-length: 7\r\n\r\n<html/>";
  await using stranger = new Stranger(strange(said));
  const failure = await failureOf(new ControlClient(stranger.path, realClock).status());
  assertEquals(failure.message, "what answers at the control socket is no supervisor");
  assertEquals(failure.exit, 4);
});

Deno.test("a daemon that does not answer a look is called so after 10 s", async () => {
  const asked = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  await using stranger = new Stranger(() => {
    asked.resolve();
    return release.promise;
  });
  const clock = new ManualClock();
  const failing = failureOf(new ControlClient(stranger.path, clock).status());
  await asked.promise;
  await clock.advance(10_000);
  const failure = await failing;
  release.resolve();
  assertMatch(failure.message, /^the daemon at ".*" does not answer: no status after 10000 ms$/);
  assertEquals(failure.exit, 4);
});

Deno.test("somebody who does not answer at all is asked for nothing that may take long", async () => {
  const asked: string[] = [];
  const met = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  await using stranger = new Stranger((_, request) => {
    asked.push(request.split(" HTTP")[0]);
    met.resolve();
    return release.promise;
  });
  const clock = new ManualClock();
  const failing = failureOf(new ControlClient(stranger.path, clock).shutdown());
  await met.promise;
  await clock.advance(10_000);
  const failure = await failing;
  release.resolve();
  assertMatch(failure.message, /does not answer: no shutdown after 10000 ms$/);
  assertEquals(new Set(asked), new Set(["GET http://localhost/v1/health"]));
});

Deno.test("the daemon of another application is asked for nothing", async () => {
  await using server = await Server.open();
  const { path } = server.client;
  const other = { application: "other", config: "/srv/other.yaml" };
  const failure = await failureOf(new ControlClient(path, realClock, other).restart({}));
  assertEquals(failure.message, `the daemon at "${path}" runs the application "app", not "other"`);
  assertEquals([failure.exit, server.operations.asked], [5, []]);
  // Its own file has another name in it now: that is for the daemon to refuse.
  const renamed = { application: "other", config: "/srv/supervisor.yaml" };
  await new ControlClient(path, realClock, renamed).restart({});
  assertEquals(server.operations.asked.length, 1);
});

Deno.test("a follow ends quietly by its signal, and at the server too", async () => {
  await using server = await Server.open();
  const end = new AbortController();
  const seen: number[] = [];
  const { feed } = server.operations;
  const following = (async () => {
    for await (const { seq } of server.client.events({ follow: true, limit: 1 }, end.signal)) {
      seen.push(seq);
      if (seq === 7) end.abort();
    }
  })();
  await until("the follower", () => feed.followers === 1);
  feed.publish(event(7));
  await following;
  assertEquals(seen, [2, 7]);
  await until("the server to forget it", () => feed.followers === 0);
});

Deno.test("a signal ends the watching of a deploy with its reason", async () => {
  await using server = await Server.open();
  const hold = Promise.withResolvers<void>();
  server.operations.deploy = async (_, tell) => {
    tell(step("one"));
    await hold.promise;
    return DEPLOYED;
  };
  const end = new AbortController();
  const reason = new Error("enough");
  const watching = server.client.deploy(
    { release_path: "/a" },
    () => end.abort(reason),
    end.signal,
  );
  assertEquals(await watching.catch((error) => error), reason);
  hold.resolve();
});

Deno.test("shutdown returns when the daemon's process has ended", async () => {
  await using server = await Server.open();
  const daemon = new Deno.Command("sleep", { args: ["1000"] }).spawn();
  server.operations.status = () => ({ ...STATUS, pid: daemon.pid });
  let ended = false;
  const stopping = server.client.shutdown().then((answer) => {
    assert(ended, "the process was still there");
    return answer;
  });
  await until(
    "the answer to be sent",
    () => [...Deno.readDirSync(server.scratch.dir)].length === 0,
  );
  await server.control.close();
  ended = true;
  daemon.kill();
  await daemon.status;
  assertEquals(await stopping, { status: "success", message: "stopped" });
});

Deno.test("a daemon that cannot tell its status can be shut down", async () => {
  await using server = await Server.open();
  server.operations.status = () => {
    throw new TypeError("a bug");
  };
  assertEquals((await server.client.shutdown()).message, "stopped");
});
