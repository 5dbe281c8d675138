/**
 * The way back: to the release before, to a named one, back and forth, to one that is gone; and how
 * long a release can be gone back to.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { deploy, rollback } from "../kit/deploying.ts";
import { startLoad } from "../kit/load.ts";
import { webProcess } from "../kit/programs.ts";

const processes = { web: webProcess() };
const config = { proxy: {}, processes };

async function version(d: Daemon): Promise<string> {
  return (await d.get()).text.trim();
}

daemonTest("rollback goes back and forth, and to a named release", { config }, async (d) => {
  for (const id of ["v1", "v2", "v3"]) await deploy(d, id).live();
  const load = startLoad({ port: d.port, connections: 2, every: 1 });
  for (const [args, now] of [[[], "v2"], [[], "v3"], [["--release-id", "v1"], "v1"]] as const) {
    const { stdout } = await d.ok("rollback", "--wait", ...args);
    assertMatch(stdout, new RegExp(`^${now}(~\\d+)? is live `));
    assertEquals(await version(d), now);
  }
  const report = await load.stop();
  assertEquals(report.failed, 0, report.text);
  // The release that was live before v1 is v3.
  await d.ok("rollback");
  assertEquals(await version(d), "v3");
});

daemonTest("a rollback that is not possible changes nothing", { config }, async (d) => {
  const none = await d.cli("rollback");
  assertEquals(none.code, 1);
  assertMatch(none.stderr, /error: there is no earlier release to go back to\nfix: /);
  await deploy(d, "v1").live();
  await deploy(d, "v2", {}, { wait: true }).live();
  const { pid } = (await d.status()).releases.at(-1)!.processes[0];
  const refused: [string, RegExp, RegExp][] = [
    ["v2", /release "v2" is the live one already/, /name another/],
    ["v9", /there is no release "v9"/, /known releases: "v1", "v2"/],
  ];
  for (const [id, said, fix] of refused) {
    const failure = await rollback(d, { release_id: id }).failure();
    assertMatch(failure.error, said);
    assertMatch(failure.fix!, fix);
  }
  const gone = d.path("releases", "v1");
  Deno.removeSync(gone, { recursive: true });
  const started = (await d.events()).filter(({ event }) => event === "process_started").length;
  const { code, stderr } = await d.cli("rollback");
  assertEquals(code, 1);
  assertMatch(stderr, new RegExp(`error: .*"${gone}" does not exist`));
  assertMatch(stderr, /^fix: /m);
  const events = await d.events();
  assertEquals(events.filter(({ event }) => event === "process_started").length, started);
  assertEquals((await d.status()).releases.at(-1)!.processes[0].pid, pid);
  assertEquals(await version(d), "v2");
});

daemonTest(
  "a rollback to what no longer comes up leaves the live release",
  { config },
  async (d) => {
    await deploy(d, "v1").live();
    await deploy(d, "v2", {}, { wait: true }).live();
    d.release("v1", { start_crash: 4 });
    const { code, stderr } = await d.cli("rollback");
    assertEquals(code, 1);
    assertMatch(stderr, /exited with code 4/);
    assertMatch(stderr, /cannot start: v1 is told to crash/);
    assertEquals(await version(d), "v2");
    assertEquals((await d.status()).active_release_id, "v2");
    // It stays a release that can be gone back to.
    d.release("v1");
    assertEquals((await rollback(d).live()).previous_release_id, "v2");
    assertEquals(await version(d), "v1");
  },
);

daemonTest("after a restart of the daemon the live release is back, and the one before known", {
  config,
}, async (d) => {
  await deploy(d, "v1").live();
  await deploy(d, "v2").live();
  d.kill("SIGTERM");
  await d.ended();
  await d.start();
  assertEquals(await version(d), "v2");
  assertEquals((await d.status()).active_release_id, "v2");
  await rollback(d).live();
  assertEquals(await version(d), "v1");
});

daemonTest("only as many stopped releases are kept as configured", {
  config: { ...config, release_retention: { keep: 1 } },
}, async (d) => {
  for (const id of ["v1", "v2", "v3", "v4"]) await deploy(d, id, {}, { wait: true }).live();
  const ids = (await d.status()).releases.map(({ release_id }) => release_id);
  assertEquals(ids, ["v3", "v4"]);
  const forgotten = (await d.events()).filter(({ event }) => event === "release_forgotten");
  assertEquals(forgotten.map(({ data }) => data.release), ["v1", "v2"]);
  assertMatch((await rollback(d, { release_id: "v1" }).failure()).error, /no release "v1"/);
  assert(Deno.statSync(d.path("releases", "v1")).isDirectory, "directories are never touched");
});

daemonTest("a stopped release is forgotten when it is too old", {
  config: { ...config, release_retention: { keep: 10, max_age: "1h" } },
}, async (d) => {
  await deploy(d, "v1").live();
  await deploy(d, "v2", {}, { wait: true }).live();
  const ids = async () => (await d.status()).releases.map(({ release_id }) => release_id);
  assertEquals(await ids(), ["v1", "v2"]);
  // By its own timer, not at the next deploy.
  d.configure({ ...config, release_retention: { keep: 10, max_age: "50ms" } });
  await d.ok("reload");
  await d.event("release_forgotten", ({ data }) => data.release === "v1");
  assertEquals(await ids(), ["v2"]);
  assertMatch((await rollback(d).failure()).error, /no earlier release/);
  await deploy(d, "v3", {}, { wait: true }).live();
  await d.event("release_forgotten", ({ data }) => data.release === "v2");
});
