/**
 * A changed configuration while the daemon runs: what `plan` says of it, and how each kind of change
 * takes effect by `reload` or with the next deploy.
 */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertStringIncludes,
} from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { startLoad } from "../kit/load.ts";
import { freePort } from "../kit/ports.ts";
import { program, webProcess, type Yaml } from "../kit/programs.ts";
import { until } from "../kit/wait.ts";

/** Ports stay the same over a reload unless a test changes them. */
const WEB = webProcess();

const base = (web: Yaml = {}, proxy: Yaml = {}, more: Yaml = {}) => ({
  proxy,
  processes: { web: { ...WEB, ...web }, worker: { command: program("worker.sh") } },
  ...more,
});

const BASE = { config: base() };

/** Pids of everything that is alive, by instance. */
async function pids(d: Daemon): Promise<Record<string, number | undefined>> {
  const { releases, services, singletons } = await d.status();
  const standing = [...services, ...singletons].map(({ process }) => process);
  const all = [...releases.flatMap(({ processes }) => processes), ...standing];
  const alive = all.filter(({ pid }) => pid !== undefined);
  return Object.fromEntries(alive.map(({ id, pid }) => [id, pid]));
}

/** Waits until only the live release has processes. */
async function settled(d: Daemon): Promise<void> {
  await d.statusUntil(
    "the old generation to be gone",
    ({ releases, active_release_id }) =>
      releases.every(({ state, release_id }) =>
        state === "stopped" || release_id === active_release_id
      ),
  );
}

/** Changes as `field: effect`. */
function told(result: { json(): { changes: { field: string; effect: string }[] } }): string[] {
  return result.json().changes.map(({ field, effect }) => `${field}: ${effect}`);
}

daemonTest("plan says what a reload would do, and does none of it", BASE, async (d) => {
  await d.deploy("v1");
  const before = await pids(d);
  assertEquals(told(await d.ok("plan", "--json")), []);
  d.configure(base({ env: { WORD: "x" }, graceful_stop: "7s" }, {
    address: `127.0.0.1:${freePort()}`,
    drain_timeout: "7s",
  }, { application: "other" }));
  const plan = await d.ok("plan", "--json", "--socket", d.socket);
  assertEquals(told(plan).sort(), [
    "application: refused",
    "processes.web.env.WORD: generation",
    "processes.web.graceful_stop: live",
    "proxy.address: listener",
    "proxy.drain_timeout: live",
  ]);
  const shown = (await d.ok("plan", "--socket", d.socket)).stdout;
  for (const line of told(plan)) assertStringIncludes(shown, line.split(":")[0]);
  assertEquals(await pids(d), before);
  assertEquals((await d.get()).text.trim(), "v1");
});

daemonTest("live settings take effect in what runs: same pids, nothing restarted", {
  config: base({ graceful_stop: "10m" }, { drain_timeout: "10m" }),
}, async (d) => {
  await d.deploy("v1", { ignore_term: true });
  const before = await pids(d);
  d.configure(base({ graceful_stop: "100ms" }, { drain_timeout: "100ms" }, {
    release_retention: { keep: 0 },
  }));
  const reloaded = await d.ok("reload", "--json");
  assertEquals(told(reloaded).sort(), [
    "processes.web.graceful_stop: live",
    "proxy.drain_timeout: live",
    "release_retention.keep: live",
  ]);
  assertEquals(await pids(d), before);
  // v1 ignores SIGTERM and holds a request: with the old settings this would take for ever.
  const held = d.get(`/wait?flag=${d.path("never")}`).then(({ status }) => status, () => "cut");
  await d.statusUntil("the request", ({ leases }) => leases === 1);
  await d.deploy("v2", {}, "--wait");
  assertNotEquals(await held, 200);
  assertEquals((await d.status()).releases.map(({ release_id }) => release_id), ["v2"]);
});

daemonTest("the budget of a drain that is under way is that of the reload", {
  config: base({ graceful_stop: "10m" }, { drain_timeout: "10m" }),
}, async (d) => {
  await d.deploy("v1", { ignore_term: true });
  const held = d.get(`/wait?flag=${d.path("never")}`).catch(() => {});
  await d.statusUntil("the request", ({ leases }) => leases === 1);
  await d.deploy("v2");
  d.configure(base({ graceful_stop: "100ms" }, { drain_timeout: "100ms" }));
  await d.ok("reload");
  await settled(d);
  await held;
});

daemonTest("what a program is started with needs a new generation: no request fails", {
  ...BASE,
}, async (d) => {
  await d.deploy("v1");
  const before = await pids(d);
  const load = startLoad({ port: d.port });
  await load.answers(20);
  for (
    const [field, web] of [
      ["processes.web.env.WORD", { env: { WORD: "two" } }],
      ["processes.web.replicas", { env: { WORD: "two" }, replicas: 2 }],
      ["processes.web.command", {
        env: { WORD: "two" },
        replicas: 2,
        command: program("web.mjs", "--port", "{{port}}", "--again"),
      }],
    ] as const
  ) {
    d.configure(base(web));
    const reloaded = await d.ok("reload", "--json");
    assertEquals(told(reloaded), [`${field}: generation`]);
    assertMatch(reloaded.json().active_release_id, /^v1(~2)?$/);
    await load.answers(20);
    await settled(d);
  }
  const report = await load.stop();
  assertEquals(report.failed, 0, report.text);
  const after = await pids(d);
  assertEquals(Object.keys(after).sort(), ["web#0", "web#1", "worker"]);
  assertNotEquals(after.worker, before.worker);
  assertEquals(JSON.parse((await d.get("/environment")).text).env.WORD, "two");
});

daemonTest("a generation that does not start changes nothing, not even the configuration", {
  ...BASE,
}, async (d) => {
  await d.deploy("v1");
  const before = await pids(d);
  d.configure(base({ env: { WEB_START_CRASH: "3" } }, { drain_timeout: "7s" }));
  const failed = await d.cli("reload");
  assertEquals(failed.code, 1);
  assertStringIncludes(failed.stderr, "is told to crash");
  assertEquals(await pids(d), before);
  assertEquals(told(await d.ok("plan", "--json")).length, 2, "still to be applied");
  assertEquals((await d.get()).text.trim(), "v1");
});

daemonTest("another address: bound before the old one closes, which finishes what it holds", {
  ...BASE,
}, async (d) => {
  await d.deploy("v1");
  const before = await pids(d);
  const held = d.get(`/wait?flag=${d.path("flag")}`);
  await d.statusUntil("the request", ({ leases }) => leases === 1);
  const port = freePort();
  d.configure(base({}, { address: `127.0.0.1:${port}` }));
  assertEquals(told(await d.ok("reload", "--json")), ["proxy.address: listener"]);
  const answer = await fetch(`http://127.0.0.1:${port}/`);
  assertEquals((await answer.text()).trim(), "v1");
  await until("the old address to be closed", () => d.get().then(() => false, () => true));
  d.write("flag", "");
  assertEquals((await held).text.trim(), "v1", "the request on the old address is answered");
  assertEquals(await pids(d), before);

  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const stranger = (taken.addr as Deno.NetAddr).port;
  d.configure(base({ env: { WORD: "new" } }, { address: `127.0.0.1:${stranger}` }));
  const refused = await d.cli("reload");
  assertEquals(refused.code, 1);
  assertMatch(refused.stderr, new RegExp(`127\\.0\\.0\\.1:${stranger}.*in use`));
  assertEquals(await pids(d), before);
  await (await fetch(`http://127.0.0.1:${port}/`)).body?.cancel();
});

daemonTest("what cannot change is refused, every field by its name; deploy refuses it too", {
  ...BASE,
}, async (d) => {
  await d.deploy("v1");
  const before = await pids(d);
  d.configure(base({ env: { WORD: "new" } }, {}, {
    application: "other",
    state_dir: d.path("elsewhere"),
    control: { mode: "666" },
  }));
  const path = d.release("v2");
  for (const command of [["reload"], ["deploy", "--release-path", path]]) {
    const refused = await d.cli(...command, "--socket", d.socket);
    assertEquals(refused.code, 3, refused.stderr);
    for (const field of ["application", "control.mode", "state_dir"]) {
      assertStringIncludes(refused.stderr, field);
    }
    assertMatch(refused.stderr, /\nfix: undo the change, or /);
  }
  assertEquals(await pids(d), before);
  assertEquals((await d.status()).application, "app");
});

daemonTest("a bad file changes nothing and says where it is bad; a file that is gone too", {
  ...BASE,
}, async (d) => {
  await d.deploy("v1");
  const before = await pids(d);
  const good = d.read("supervisor.yaml")!;
  for (const text of [good.replace("policy: proxied", "policy: proxy"), "a: [", "", undefined]) {
    if (text === undefined) Deno.removeSync(d.configFile);
    else d.write("supervisor.yaml", text);
    for (const command of ["reload", "plan"]) {
      const { code, stderr } = await d.cli(command, "--socket", d.socket);
      assertEquals(code, 3, stderr);
      assertStringIncludes(stderr, "supervisor.yaml");
    }
  }
  assertEquals(await pids(d), before);
  d.write("supervisor.yaml", good);
  assertEquals(told(await d.ok("reload", "--json")), []);
});

daemonTest("processes come and go with a reload, of every policy", BASE, async (d) => {
  await d.deploy("v1");
  const ticking = (policy: string) => ({ policy, command: program("worker.sh", policy) });
  const added = {
    helper: ticking("companion"),
    single: ticking("singleton"),
    broker: ticking("service"),
  };
  const config = base();
  d.configure({ ...config, processes: { ...config.processes, ...added } });
  const reloaded = await d.ok("reload", "--json");
  assertEquals(reloaded.json().errors, []);
  await settled(d);
  const before = await pids(d);
  assertEquals(Object.keys(before).sort(), ["broker", "helper", "single", "web", "worker"]);

  d.configure(config);
  await d.ok("reload");
  await settled(d);
  assertEquals(Object.keys(await pids(d)).sort(), ["web", "worker"]);
  for (const id of ["broker", "helper", "single"]) {
    await until(`${id} to be gone`, () => d.leftovers().every(({ pid }) => pid !== before[id]));
  }
});

daemonTest("values of a dotenv file are read anew; a deploy applies what changed", {
  config: base({ env: { WORD: "${WORD:-none}" } }),
  start: false,
}, async (d) => {
  const word = async () => JSON.parse((await d.get("/environment")).text).env.WORD;
  d.write("values.env", "WORD=one\n");
  await d.start("--dotenv", "values.env");
  await d.deploy("v1");
  assertEquals(await word(), "one");
  d.write("values.env", "WORD=two\n");
  await d.ok("reload");
  assertEquals(await word(), "two");
  d.write("values.env", "WORD=three\n");
  d.configure(base({ env: { WORD: "${WORD:-none}" }, replicas: 2 }, { drain_timeout: "7s" }));
  await d.deploy("v2");
  assertEquals(await word(), "three");
  await settled(d);
  assert(Object.keys(await pids(d)).includes("web#1"));
  assertEquals(told(await d.ok("plan", "--json")), [], "all of it is in force");
});
