/** `doctor` asks each plugin: certificates, directories, sockets, and where pipelines keep their jobs. */

import { assertEquals, assertMatch } from "@std/assert";
import type { Checked } from "../../lib/core/check.ts";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { freePort } from "../kit/ports.ts";
import { fixture, type Yaml } from "../kit/programs.ts";

const command = ["php", fixture("php/http_worker.php")];

/** What one check found. */
async function find(d: Daemon, id: string): Promise<Checked> {
  const { checks } = (await d.cli("doctor", "--json")).json();
  const found = checks.find((check: Checked) => check.id === id);
  if (found === undefined) throw new Error(`no check ${id} in ${JSON.stringify(checks)}`);
  return found;
}

async function assertFinds(
  d: Daemon,
  id: string,
  level: Checked["level"],
  detail: RegExp,
): Promise<void> {
  const found = await find(d, id);
  assertEquals(found.level, level, JSON.stringify(found));
  assertMatch(found.detail, detail);
  if (level !== "ok") assertMatch(found.fix ?? "", /./);
}

/** A certificate of its own with its key. @param days it is valid */
async function certificate(d: Daemon, name: string, days: number): Promise<Yaml> {
  const [cert, key] = [d.path(`${name}.crt`), d.path(`${name}.key`)];
  const made = await d.run([
    "openssl",
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
    ...["-days", `${days}`, "-subj", "/CN=localhost", "-keyout", key, "-out", cert],
  ]);
  assertEquals(made.code, 0, made.stderr);
  return { cert, key };
}

daemonTest("certificates of http and tcp", { config: {}, start: false }, async (d) => {
  const pair = { cert: fixture("tls/cert.pem"), key: fixture("tls/key.pem") };
  const http = (ssl: Yaml) =>
    d.configure({
      server: { command },
      http: { ssl: { address: `127.0.0.1:${freePort()}`, ...ssl } },
    });
  http(pair);
  await assertFinds(d, "http_tls", "ok", /^http\.ssl until 2\d{3}-\d\d-\d\d$/);
  await assertFinds(d, "uploads", "ok", /^\/tmp$/);

  const other = await certificate(d, "other", 90);
  http({ cert: pair.cert, key: other.key });
  await assertFinds(d, "http_tls", "fail", /^http\.ssl: cannot serve TLS with this certificate/);
  d.write("no.pem", "nothing");
  http({ cert: d.path("no.pem"), key: pair.key });
  await assertFinds(d, "http_tls", "fail", /^http\.ssl: cannot serve TLS/);

  http(await certificate(d, "soon", 3));
  await assertFinds(d, "http_tls", "advice", /^http\.ssl: valid only until /);

  d.configure({
    server: { command },
    tcp: {
      servers: {
        plain: { addr: `127.0.0.1:${freePort()}` },
        safe: { addr: `127.0.0.1:${freePort()}`, tls: { cert: pair.cert, key: other.key } },
      },
    },
  });
  await assertFinds(d, "tcp_tls", "fail", /^tcp\.servers\.safe\.tls: cannot serve TLS/);
});

daemonTest("where Unix sockets shall be", { config: {}, start: false }, async (d) => {
  const at = (path: string) =>
    d.configure({ server: { command }, http: { address: `unix://${path}` } });
  at(d.path("http.sock"));
  await assertFinds(d, "addresses", "ok", /http\.sock/);
  at(d.path("nowhere", "http.sock"));
  await assertFinds(d, "addresses", "fail", /may not write in ".*nowhere", or it is not there/);
  at(d.configFile);
  await assertFinds(d, "addresses", "fail", /something that is not a socket lies there/);
  {
    using _other = Deno.listen({ transport: "unix", path: d.path("other.sock") });
    at(d.path("other.sock"));
    await assertFinds(d, "addresses", "fail", /other\.sock: another program listens there/);
  }
  await assertFinds(d, "addresses", "ok", /other\.sock/);
});

daemonTest("where pipelines keep their jobs", { config: {}, start: false }, async (d) => {
  const pipelines = (all: Yaml) =>
    d.configure({ server: { command }, jobs: { pipelines: all, pool: { num_workers: 1 } } });
  pipelines({ mail: { driver: "memory" }, news: { driver: "sqlite" } });
  await assertFinds(d, "pipelines", "ok", /^mail, news$/);
  const file = d.write("jobs.db", "something else");
  const sqlite = { driver: "sqlite", config: { file } };
  pipelines({ mail: { driver: "memory" }, news: sqlite, bulk: sqlite });
  await assertFinds(d, "pipelines", "fail", /^news, bulk \(sqlite\): .*jobs\.db/);
  pipelines({ news: { driver: "sqlite", config: { file: d.path("nowhere", "jobs.db") } } });
  await assertFinds(d, "pipelines", "fail", /^news \(sqlite\): .*nowhere/);
});

daemonTest("a broker that is not there, and one that says nothing", {
  config: {},
  start: false,
}, async (d) => {
  const redis = (port: number) =>
    d.configure({
      server: { command },
      redis: { addr: `127.0.0.1:${port}` },
      jobs: {
        pipelines: { mail: { driver: "redis" }, news: { driver: "redis" } },
        pool: { num_workers: 1 },
      },
    });
  const port = freePort();
  redis(port);
  await assertFinds(d, "pipelines", "fail", new RegExp(`^mail, news \\(redis\\): .*${port}`));
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  redis(silent.addr.port);
  await assertFinds(d, "pipelines", "fail", /^mail, news \(redis\): /);
});
