/** From configuration to what workers run: command, environment and its order, every failure. */

import { assertEquals, assertThrows } from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import { renderWorker, RR_VERSION, wordsOf } from "../../../lib/release/render_worker.ts";
import { aroundOf, serverOf, workersConfig } from "./worker_configs.ts";

const ORDER = { plugin: "http", pool: "http" };
const IDENTITY = { user: "www", uid: 33, gid: 33, home: "/var/www" };
const around = aroundOf(workersConfig(), { APP_ENV: "inherited", RR_MODE: "x", HOME: "/root" });

Deno.test("the command is split, rendered, and run in the release", () => {
  const server = serverOf({ command: "php -d 'a b' {{release_path}}/w.php --id={{release_id}}" });
  const worker = renderWorker(ORDER, server, around);
  assertEquals(worker.argv, ["php", "-d", "a b", "/srv/v1/w.php", "--id=v1"]);
  assertEquals(worker.command, "php -d a b /srv/v1/w.php --id=v1");
  assertEquals([worker.cwd, worker.relay, worker.identity], ["/srv/v1", "pipes", undefined]);
});

Deno.test("what a template puts in is one word, spaces or not", () => {
  const spaced = { ...around, release: { ...around.release, release_path: "/srv/my app" } };
  const { argv } = renderWorker(ORDER, serverOf({ command: "php {{release_path}}/w.php" }), spaced);
  assertEquals(argv, ["php", "/srv/my app/w.php"]);
});

Deno.test("a pool's own command comes first; a list is taken as it is", () => {
  const order = { ...ORDER, command: ["php", "own file.php"] };
  assertEquals(renderWorker(order, serverOf(), around).argv, ["php", "own file.php"]);
  const without = serverOf({ command: undefined });
  assertEquals(renderWorker(order, without, around).argv, ["php", "own file.php"]);
});

Deno.test("the environment: later ones win in RoadRunner's order", () => {
  const env = {
    APP_ENV: "server",
    RR_RPC: "mine",
    RR_RELAY: "mine",
    RR_MODE: "y",
    RR_VERSION: "z",
  };
  const server = serverOf({ env: { ...env, WHERE: "{{release_path}}:{{ports.web}}" } });
  const worker = renderWorker({ ...ORDER, rpc: "tcp://127.0.0.1:6001" }, server, around);
  const { PATH, APP_ENV, RR_RPC, RR_RELAY, RR_MODE, WHERE, HOME } = worker.env;
  assertEquals(
    { PATH, APP_ENV, RR_RPC, RR_RELAY, RR_MODE, WHERE, HOME, RR_VERSION: worker.env.RR_VERSION },
    {
      PATH: "/bin",
      APP_ENV: "server",
      RR_RPC: "mine",
      RR_RELAY: "mine",
      RR_MODE: "http",
      WHERE: "/srv/v1:20000",
      HOME: "/root",
      RR_VERSION,
    },
  );
  assertEquals(
    [worker.env.SUPERVISOR_PROCESS_ID, worker.env.SUPERVISOR_RELEASE_PATH],
    ["http", "/srv/v1"],
  );
  assertEquals(worker.env.SUPERVISOR_WEB_PORT, "20000");
});

Deno.test("without RPC there is no RR_RPC; a relay of sockets is said", () => {
  const { env, relay } = renderWorker(ORDER, serverOf({ relay: "unix:///r.sock" }), around);
  assertEquals(["RR_RPC" in env, env.RR_RELAY, relay], [false, "unix:///r.sock", "unix:///r.sock"]);
});

Deno.test("another user: its home and name, unless the section says otherwise", () => {
  const order = { ...ORDER, identity: IDENTITY };
  const { env, identity } = renderWorker(order, serverOf({ env: { HOME: "/app" } }), around);
  assertEquals([env.HOME, env.USER, env.LOGNAME], ["/app", "www", "www"]);
  assertEquals(identity, IDENTITY);
});

const FAILURES: [title: string, run: () => unknown, message: string][] = [
  ["no command", () => renderWorker(ORDER, serverOf({ command: undefined }), around), "no command"],
  [
    "an open quote",
    () => renderWorker(ORDER, serverOf({ command: "php 'worker.php" }), around),
    "server.command",
  ],
  [
    "an open quote of the pool's own",
    () => renderWorker({ ...ORDER, command: 'php "x' }, serverOf(), around),
    "http.pool.command",
  ],
  [
    "a template without a value",
    () => renderWorker(ORDER, serverOf({ command: "php {{ports.nope}}" }), around),
    "{{ports.nope}} in server.command",
  ],
  [
    "one in the environment",
    () => renderWorker(ORDER, serverOf({ env: { A: "{{env.NOPE}}" } }), around),
    "{{env.NOPE}} in server.env.A",
  ],
];

for (const [title, run, message] of FAILURES) {
  Deno.test(`${title} is a failure that names the field`, () => {
    assertThrows(run, Failure, message);
  });
}

Deno.test("words: quotes are understood, there is no shell", () => {
  const words = wordsOf(`php "a b" 'c $D' e;g | h`, { id: "http", section: "server" });
  assertEquals(words, ["php", "a b", "c $D", "e;g", "|", "h"]);
});
