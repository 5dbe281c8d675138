/**
 * The story a new user types, word for word: validate, serve, deploy twice, look, roll back, shut
 * down.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { startDaemon } from "../kit/daemon.ts";
import { webProcess } from "../kit/programs.ts";
import { startLoad } from "../kit/load.ts";

Deno.test("a new user's story: validate, serve, deploy, deploy, status, rollback, shutdown", async () => {
  await using d = await startDaemon({
    start: false,
    config: {
      proxy: {},
      processes: { web: webProcess(), worker: { command: "exec sleep 1000" } },
    },
  });

  const valid = await d.ok("validate", "-c", "supervisor.yaml");
  assertStringIncludes(valid.stdout, "is valid");

  const serve = await d.ok("serve", "--detach", "--json");
  const ready = serve.json();
  assertEquals(ready.socket, d.socket);
  assertEquals(ready.addresses, [`127.0.0.1:${d.port}`]);
  assertEquals(alive(ready.pid), true);
  assertEquals((await d.get()).status, 503, "nothing is live yet");

  for (const version of ["v1", "v2"]) d.release(version);
  const first = await d.ok("deploy", "--release-path", "releases/v1", "--release-id", "v1");
  assertMatch(first.stdout, /v1 is live/);
  assertMatch(first.stderr, /web is up on port \d+/);
  assertEquals((await d.get()).text.trim(), "v1");

  const load = startLoad({ port: d.port, connections: 4 });
  await load.answers(20);
  await d.ok("deploy", "--release-path", "releases/v2", "--release-id", "v2");
  await load.answers(20, "v2");
  const report = await load.stop();
  assertEquals(report.failed, 0, report.text);

  const status = await d.ok("status");
  for (
    const word of ["RELEASE", "v1", "v2", "active", "web", "worker", "UPTIME", "MEMORY", "LEASES"]
  ) {
    assertStringIncludes(status.stdout, word);
  }

  await d.ok("rollback");
  assertEquals((await d.get()).text.trim(), "v1");
  assertEquals((await d.status()).active_release_id?.replace(/~\d+$/, ""), "v1");

  await d.ok("shutdown");
  assertEquals(
    alive(ready.pid),
    false,
    "the daemon is gone when shutdown says so",
  );
  assertEquals(await exists(d.socket), false);
  assertEquals(await exists(d.path("run", "pid")), false);
  assertEquals(d.leftovers(), []);
});

Deno.test("validate shows every mistake with its line, a caret and a fix", async () => {
  await using d = await startDaemon({
    start: false,
    config: [
      "application: story",
      "proxy: { address: 127.0.0.1:8182, drain_timeout: 60 }",
      "processes:",
      "  web:",
      "    policy: proxied",
      "    comand: node server.js",
      "    port: 18182-18299",
      "  worker: { command: run, depends_on: { wb: healthy } }",
      "",
    ].join("\n"),
  });
  const { code, stderr, stdout } = await d.cli("validate", "-c", "supervisor.yaml");
  assertEquals(code, 3);
  const said = stdout + stderr;
  assertMatch(said, /supervisor\.yaml:2:\d+: error: .*drain_timeout/);
  assertMatch(said, /supervisor\.yaml:6:\d+: error: .*comand/);
  assertMatch(said, /supervisor\.yaml:8:\d+: error: .*wb/);
  assertEquals((said.match(/^\s+\^+$/gm) ?? []).length >= 3, true, said);
  assert((said.match(/^fix: /gm) ?? []).length >= 3, said);
});

/** Whether a process runs; one that only waits to be reaped does not. */
function alive(pid: number): boolean {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    return stat.slice(stat.lastIndexOf(")") + 2)[0] !== "Z";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
