/** TCP connections to workers while the real daemon runs, deploys, reloads and ends. */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import type { Place } from "../kit/daemon_options.ts";
import { callFromPhp } from "../kit/php_rpc.ts";
import { freePort } from "../kit/ports.ts";
import { fixture, type Yaml } from "../kit/programs.ts";
import { RawPeer } from "../kit/raw_http.ts";
import { until } from "../kit/wait.ts";
import { runs, told, workersOf } from "../kit/workers.ts";

const SCRIPT = `<?php\n$argv[1] = getenv('EVENTS');\nrequire '${fixture("php/tcp_worker.php")}';\n`;
const FILES = { "worker.php": SCRIPT };

/** A configuration with one server `main` on the port of the test; workers write to events.log. */
function tcp(section: Yaml = {}, main: Yaml = {}, more: Yaml = {}) {
  return ({ port, dir }: Pick<Place, "port" | "dir">): Yaml => ({
    server: { command: "php worker.php", env: { EVENTS: `${dir}/events.log` } },
    tcp: {
      servers: { main: { addr: `tcp://127.0.0.1:${port}`, ...main } },
      pool: { num_workers: 2 },
      ...section,
    },
    ...more,
  });
}

async function say(client: RawPeer, text: string): Promise<string> {
  await client.send(`${text}\r\n`);
  return (await client.until("\n")).trimEnd();
}

/** Names of the events that workers saw of a connection. */
function seen(d: Daemon, uuid: string): string[] {
  const lines = (d.read("events.log") ?? "").split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line)).filter(([one]) => one === uuid)
    .map(([, event]) => event);
}

async function deploy(d: Daemon, name: string): Promise<void> {
  d.write(`releases/${name}/worker.php`, SCRIPT);
  await d.ok("deploy", "--release-path", d.path("releases", name), "--release-id", name);
}

/** Release that a connection talks to. */
function releaseOf(client: RawPeer): Promise<string> {
  return say(client, "env SUPERVISOR_RELEASE_ID");
}

/** Until nobody listens there: what was in the queue is still taken for a moment. */
async function refused(port: number): Promise<void> {
  await until(`nobody to listen on ${port}`, async () => {
    try {
      (await Deno.connect({ port })).close();
      return false;
    } catch (error) {
      return error instanceof Deno.errors.ConnectionRefused;
    }
  });
}

/** Shorter than a test waits for the end of a daemon. */
const DRAIN = { drain_timeout: "20s" };

daemonTest(
  "a section of RoadRunner runs as it is; workers know where they are",
  { config: tcp({}, {}, { rpc: { listen: `tcp://127.0.0.1:${freePort()}` } }), files: FILES },
  async (d) => {
    using client = await RawPeer.connect(d.port);
    assertEquals(await say(client, "hi"), "echo:hi");
    assertEquals(await say(client, "env RR_MODE"), "tcp");
    const { uuid, server, remote_addr } = JSON.parse(await say(client, "who"));
    const { port } = client.conn.localAddr as Deno.NetAddr;
    assertEquals([server, remote_addr], ["main", `127.0.0.1:${port}`]);
    const { workers } = await workersOf(d);
    assertEquals(workers.map(({ id, state }) => [id, state]), [["tcp#0", "ready"], [
      "tcp#1",
      "ready",
    ]]);
    const { intakes } = await d.status();
    const intake = intakes.find(({ name }) => name === "tcp");
    assertEquals([intake?.address, intake?.state, intake?.connections], [
      `127.0.0.1:${d.port}`,
      "open",
      1,
    ]);
    // As PHP does it: by the id that it was told.
    const rpc = await say(client, "env RR_RPC");
    assertEquals(await callFromPhp(rpc, [["tcp.Close", { json: uuid }]]), [{ json: true }]);
    assertEquals(await client.ended(), "end");
    await until("CLOSE", () => seen(d, uuid).at(-1) === "CLOSE");
    const unknown = await callFromPhp(rpc, [
      ["tcp.Close", { json: crypto.randomUUID() }],
      ["tcp.Close", { json: null }],
    ]);
    assertEquals(unknown, [
      { json: true },
      { error: "the argument must be the uuid of a connection, a string" },
    ]);
  },
);

daemonTest(
  "deploy: connections live on with the release that took them, until they close",
  { config: tcp(), files: FILES },
  async (d) => {
    await deploy(d, "v1");
    using old = await RawPeer.connect(d.port);
    const before = JSON.parse(await say(old, "who"));
    await old.send("half a mess");
    await deploy(d, "v2");
    using fresh = await RawPeer.connect(d.port);
    assertEquals(await releaseOf(fresh), "v2");
    assertEquals(await say(old, "age"), "echo:half a message");
    assertEquals(await releaseOf(old), "v1");
    assert(runs(before.pid));
    assertEquals(await say(old, "bye"), "bye");
    assertEquals(await old.ended(), "end");
    old.close();
    await d.event("release_stopped", ({ data }) => data.release === "v1");
    assertEquals(runs(before.pid), false);
    assertEquals(seen(d, before.uuid).filter((event) => event === "CLOSE").length, 1);
    const [drained] = (await told(d, "release_drained")).filter(({ release }) => release === "v1");
    assertEquals(drained.cut, 0);
    assertEquals(await releaseOf(fresh), "v2");
  },
);

daemonTest(
  "deploy: at the end of drain_timeout connections are closed, and workers are told",
  { config: tcp({ drain_timeout: "300ms" }), files: FILES },
  async (d) => {
    await deploy(d, "v1");
    const clients = await Promise.all(
      Array.from({ length: 20 }, () => RawPeer.connect(d.port)),
    );
    const ids: string[] = [];
    for (const client of clients) ids.push(JSON.parse(await say(client, "who")).uuid);
    await deploy(d, "v2");
    for (const client of clients) {
      await client.ended();
      client.close();
    }
    await d.event("release_stopped", ({ data }) => data.release === "v1");
    for (const id of ids) assertEquals(seen(d, id), ["CONNECTED", "DATA", "CLOSE"]);
    const [drained] = (await told(d, "release_drained")).filter(({ release }) => release === "v1");
    assertEquals(drained.cut, 20);
  },
);

daemonTest(
  "reload: another address, new limits and a section that goes; nobody is cut off",
  { config: tcp(DRAIN), files: FILES },
  async (d) => {
    using client = await RawPeer.connect(d.port);
    assertEquals(await say(client, "a"), "echo:a");
    const port = freePort();
    d.configure(tcp(DRAIN, { addr: `127.0.0.1:${port}`, max_connections: 1, delimiter: "\n" })(d));
    await d.ok("reload");
    assertEquals(await say(client, "b"), "echo:b");
    using moved = await RawPeer.connect(port);
    await moved.send("c\n");
    assertEquals(await moved.until("\n"), "echo:c\n");
    using tooMany = await RawPeer.connect(port);
    await tooMany.ended();
    await refused(d.port);
    d.configure({ processes: { other: { command: "sleep 1000" } } });
    await d.ok("reload");
    await refused(port);
    assertEquals(await say(client, "d"), "echo:d");
    client.close();
    moved.close();
    await until("the workers are gone", async () => (await workersOf(d)).workers.length === 0);
  },
);

daemonTest(
  "the end: what is held is finished, then CLOSE is told, then workers stop",
  { config: tcp({ drain_timeout: "500ms" }), files: FILES },
  async (d) => {
    using client = await RawPeer.connect(d.port);
    const { uuid, pid } = JSON.parse(await say(client, "who"));
    d.kill("SIGTERM");
    assertEquals(await client.rest(), "");
    assertEquals(await d.ended(), { code: 0, signal: null });
    assertEquals(seen(d, uuid), ["CONNECTED", "DATA", "CLOSE"]);
    assertEquals(runs(pid), false);
  },
);

daemonTest(
  "a worker that never answers CLOSE keeps neither a deploy nor the end waiting for long",
  {
    config: ({ port, dir }) => ({
      ...tcp()({ port, dir }),
      tcp: {
        servers: { mute: { addr: `127.0.0.1:${port}` } },
        pool: { num_workers: 1, destroy_timeout: "200ms" },
        drain_timeout: "200ms",
      },
    }),
    files: FILES,
  },
  async (d) => {
    await deploy(d, "v1");
    using client = await RawPeer.connect(d.port);
    const { pid } = JSON.parse(await say(client, "who"));
    client.close();
    await deploy(d, "v2");
    await d.event("release_stopped", ({ data }) => data.release === "v1");
    assertEquals(runs(pid), false);
    using other = await RawPeer.connect(d.port);
    assertNotEquals(JSON.parse(await say(other, "who")).pid, pid);
    d.kill("SIGTERM");
    assertEquals(await d.ended(), { code: 0, signal: null });
  },
);
