/** What a release tells forwarding about programs that end, and about those that are stopping. */

import { assertEquals } from "@std/assert";
import { RawServer } from "../../kit/raw_http.ts";
import { until } from "../../kit/wait.ts";
import { proxiedOf } from "./configs.ts";
import { Stage } from "./stage.ts";

/** Longer than forwarding waits for the last words of a program that ended. */
const AFTER_GRACE = 1000;

const TIMEOUTS = { response: 60_000, send: 60_000 };

/** A release with one program, and a request to it that nobody answers. */
async function unanswered(stage: Stage) {
  await stage.settled("v1");
  const [upstream] = stage.fleet.active!.upstreams.list();
  const connection = await upstream.connect(0);
  connection.begin(TIMEOUTS);
  connection.sent();
  const head = connection.readHead("GET", { header_bytes: 0, headers: 0 });
  return { upstream, connection, head };
}

Deno.test("an unanswered request to a program that ended is given up, and says why", async () => {
  await using port = new RawServer(async (peer) => void await peer.rest());
  using stage = new Stage([proxiedOf("web", { port: { from: port.port, to: port.port } })]);
  const { upstream, connection, head } = await unanswered(stage);
  stage.alive[0].exit(137);
  await stage.clock.advance(AFTER_GRACE);
  assertEquals(await head, "closed");
  assertEquals(connection.reason, "the program ended before it answered");
  await until("nothing is left", () => upstream.connections === 0 && port.open === 0);
});

Deno.test("an unanswered request is waited for while any of a stopping program is left", async () => {
  await using port = new RawServer(async (peer) => void await peer.rest());
  using stage = new Stage([
    proxiedOf("web", { port: { from: port.port, to: port.port }, graceful_stop: 30_000 }),
  ]);
  const { upstream, connection } = await unanswered(stage);
  const [program] = stage.alive;
  program.deaf.add("SIGTERM");
  const child = program.fork();
  void stage.fleet.active!.slots[0].process.restart("memory");
  await stage.clock.advance(AFTER_GRACE);
  program.exit(0);
  await stage.clock.advance(AFTER_GRACE);
  assertEquals([upstream.ready, connection.closed], [false, false], "its child may answer still");
  program.end(child);
  await stage.clock.advance(AFTER_GRACE);
  assertEquals(connection.closed, true);
});
