/**
 * Deploys of what does not work: each is refused with its reason and the last output, exit code 1,
 * and leaves the old release, the process table and the ports as they were.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { deploy, deployPath } from "../kit/deploying.ts";
import { startLoad } from "../kit/load.ts";
import { freeRange } from "../kit/ports.ts";
import { program, webProcess, type Yaml } from "../kit/programs.ts";

/** One port for the live release and one for the next: a port that is lost is missed at once. */
const port = freeRange(2);

const proxy = { force_stop_timeout: "300ms" };

function config(overrides: Yaml = {}, processes: Yaml = {}): Yaml {
  return { proxy, processes: { web: webProcess({ port, ...overrides }), ...processes } };
}

/** Everything that a failed deploy must leave as it was. */
async function picture(d: Daemon) {
  const { active_release_id, releases, services, singletons } = await d.status();
  const pids = [...releases.flatMap((one) => one.processes), ...services.map((s) => s.process)]
    .map(({ id: instance, pid, restarts }) => ({ instance, pid, restarts }));
  const programs = d.leftovers().map(({ pid }) => pid).sort();
  const ids = releases.map(({ release_id, state, ports }) => ({ release_id, state, ports }));
  return { active_release_id, ids, pids, programs, singletons: singletons.length };
}

/** Deploys `v2` under load with the command; it must fail, be told of as `said`, and change nothing. */
async function refuse(d: Daemon, said: RegExp[], config?: Yaml, web: Yaml = {}): Promise<string> {
  if (config !== undefined) d.configure(config);
  const path = d.release("v2", web);
  const before = await picture(d);
  const load = startLoad({ port: d.port, connections: 2, every: 2 });
  const { code, stdout, stderr } = await d.cli("deploy", "--release-path", path);
  const report = await load.stop();
  assertEquals(code, 1, stderr);
  for (const pattern of said) assertMatch(stderr, pattern);
  assertEquals(stdout, "");
  assert(!/^\s+at /m.test(stderr), `a stack trace:\n${stderr}`);
  assertEquals(report.failed, 0, report.text);
  assertEquals(report.order, ["v1"]);
  assertEquals(await picture(d), before);
  return stderr;
}

/** After all that: the same daemon still takes a good release. */
async function recovers(d: Daemon): Promise<void> {
  d.configure(config());
  await deploy(d, "v3", {}, { wait: true }).live();
  assertEquals((await d.get()).text.trim(), "v3");
}

daemonTest("a release path that is no directory", { config: config() }, async (d) => {
  await deploy(d, "v1").live();
  const before = await picture(d);
  const file = d.write("releases/file", "no directory");
  for (
    const [path, said] of [["releases/none", /does not exist|no such/i], [
      "releases/file",
      /is not a directory/,
    ]] as const
  ) {
    const { code, stderr } = await d.cli("deploy", "--release-path", path);
    assertEquals(code, 1);
    assertMatch(stderr, said);
    assertStringIncludes(stderr, d.path(path));
    assertMatch(stderr, /^fix: /m);
  }
  const missing = await deployPath(d, d.path("releases/none")).failure();
  assertMatch(missing.error, /releases\/none" does not exist/);
  assertMatch((await deployPath(d, file).failure()).error, /is not a directory/);
  const relative = await deployPath(d, "releases/v1").failure();
  assertMatch(relative.error, /must be an absolute path, not "releases\/v1"/);
  assertEquals(await picture(d), before);
});

daemonTest("programs that do not come up", { config: config() }, async (d) => {
  await deploy(d, "v1").live();
  const path = d.write("plain.txt", "#!/bin/sh\nexit 0\n", 0o644);

  await refuse(
    d,
    [/"web" did not start/, /no-such-program/, /^fix: /m],
    config({
      command: ["no-such-program", "--port", "{{port}}"],
    }),
  );
  await refuse(
    d,
    [/exited with code 127/, /no-such-word.*not found/],
    config({
      command: "no-such-word --port {{port}}",
    }),
  );
  await refuse(
    d,
    [/plain\.txt.*(not executable|permission)/i, /chmod \+x/],
    config({
      command: [path],
    }),
  );
  await refuse(
    d,
    [/exited with code 3/, /cannot start: v2 is told to crash/, /exit code: 3/],
    config(),
    { start_crash: 3 },
  );
  await refuse(d, [/exited with code 0/, /foreground/], config({ command: "exit 0" }));

  const flood = await refuse(
    d,
    [/exited with code 4/, /^ +end$/m],
    config({
      command: program("flood.sh", "10", "4"),
    }),
  );
  assert(flood.length < 10_000, `${flood.length} characters of a flood are shown`);
  assertEquals(flood.match(/^ +0*7$/gm)?.length, 19, "its last lines are");

  const left = await refuse(
    d,
    [/exited with code 0/],
    config({
      command: program("forker.sh", d.path("left")),
    }),
  );
  assertStringIncludes(left, "leaving child");
  await recovers(d);
});

daemonTest("programs that are never healthy", { config: config() }, async (d) => {
  await deploy(d, "v1").live();
  const health = { path: "/ping", interval: "20ms", timeout: "4s", attempt_timeout: "150ms" };

  await refuse(
    d,
    [/did not succeed within 300ms; last: nobody listens/, /health\.timeout/],
    config({
      command: program("ignore_term.sh"),
      health: { ...health, timeout: "300ms" },
    }),
  );
  await refuse(d, [/no answer in time/, /v2 listens on/], config({ health }), { health: 0 });
  await refuse(d, [/no answer in time/], config({ health }), {
    health_delay: 60_000,
    ignore_term: true,
  });
  await refuse(d, [/answered 302 to "\/"; redirects are not followed/], config({ health }), {
    health: 302,
  });
  await refuse(d, [/last: answered 500/], config({ health }), { health: 500 });
  await recovers(d);
});

daemonTest("companions that die: at once, and while the others are being proven", {
  config: config({}, { worker: { command: program("worker.sh") } }),
}, async (d) => {
  await deploy(d, "v1").live();
  const wrong = config({}, { worker: { command: "echo no queue >&2; exit 5" } });
  await refuse(d, [/"worker" did not start: it exited with code 5/, /no queue/], wrong);

  d.configure(config({}, { worker: { command: program("worker.sh") } }));
  const before = await picture(d);
  const flag = d.path("go");
  const web = `until [ -e ${flag} ]; do sleep 0.02; done; exec "$@"`;
  d.configure(config(
    { command: ["/bin/sh", "-c", web, "sh", ...program("web.mjs", "--port", "{{port}}")] },
    { worker: { command: program("worker.sh") } },
  ));
  const deploying = deploy(d, "v2");
  await deploying.step("proving", "worker is up");
  const { releases } = await d.status();
  const worker = releases.find((one) => one.release_id === "v2")!.processes
    .find((process) => process.id === "worker")!;
  Deno.kill(worker.pid!, "SIGKILL");
  await d.event("process_exited", ({ data }) => data.pid === worker.pid);
  d.write("go", "");
  const failure = await deploying.failure();
  assertMatch(failure.error, /"worker" did not stay up: .*SIGKILL/);
  assertMatch(JSON.stringify(failure.detail), /worker of v2 starts/);
  assertEquals(await picture(d), before);
});
