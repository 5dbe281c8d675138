/**
 * Releases whose workers do not come up: the deploy says what was run and what it said, nothing of it is
 * left, and the old pool serves on without a failed request.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type CommandResult, type Daemon, daemonTest } from "../kit/daemon.ts";
import { deployPath } from "../kit/deploying.ts";
import { startLoad } from "../kit/load.ts";
import type { Yaml } from "../kit/programs.ts";
import {
  deployWorkers,
  pidsOf,
  WORKER,
  workerRelease,
  workers,
  workerScript,
  workersOf,
} from "../kit/workers.ts";

/** A bad release and what has to be said of it. */
interface Bad {
  title: string;
  /** Its worker.php; undefined: there is none. */
  script: string | undefined;
  pool?: Yaml;
  says: RegExp[];
  detail?: Yaml;
}

const BAD: Bad[] = [
  {
    title: "prints a warning before the handshake",
    script: workerScript('echo "Warning: this is no frame\\n";'),
    says: [/Warning: this is no frame/, /display_errors=stderr/],
    detail: { stdout: ["Warning: this is no frame"] },
  },
  {
    title: "exits at once",
    script: workerScript('fwrite(STDERR, "no database\\n"); exit(4);'),
    says: [/exited with code 4/, /no database/],
    detail: { exit_code: 4, exit_signal: null, stderr: ["no database"] },
  },
  {
    title: "is not where the command says",
    script: undefined,
    says: [/Could not open input file: worker\.php/, /check the path of the script/],
    detail: { stdout: ["Could not open input file: worker.php"] },
  },
  {
    title: "never answers the handshake",
    script: "<?php sleep(1000);",
    pool: { allocate_timeout: "500ms" },
    says: [/not ready within allocate_timeout \(500ms\)/],
  },
  {
    title: "answers the warm-up with 500",
    script: workerScript(),
    pool: { warmup: { path: "/status?code=500" } },
    says: [/warm-up request GET \/status\?code=500 was answered with 500/],
  },
];

for (const { title, script, pool, says, detail } of BAD) {
  daemonTest(`a worker that ${title}`, { config: workers(), files: WORKER }, async (d) => {
    await deployWorkers(d, "v1");
    const before = await pidsOf(d);
    d.write("releases/bad/none", "");
    const path = d.path("releases", "bad");
    if (script !== undefined) workerRelease(d, "bad", script);
    if (pool !== undefined) d.configure(workers(pool)(d));
    const load = startLoad({ port: d.port, connections: 2, path: "/version", every: 1 });
    await load.answers(1);

    const failed = await d.cli("deploy", "--release-path", path, "--release-id", "bad");
    assertSays(failed, [...says, /php worker\.php/, new RegExp(path)]);
    const json = await deployPath(d, path, { release_id: "bad" }).failure();
    const facts = json.detail as Yaml;
    const worker = { argv: facts.argv, cwd: facts.cwd, release: facts.release };
    assertEquals(worker, { argv: ["php", "worker.php"], cwd: path, release: "bad" });
    for (const [key, value] of Object.entries(detail ?? {})) assertEquals(facts[key], value, key);
    assert(Array.isArray(facts.env_keys) && !("env" in facts));

    await assertOnlyV1(d, before);
    const report = await load.stop();
    assertEquals([report.failed, report.order], [0, ["v1"]], report.text);
  });
}

daemonTest("a start whose workers do not come up is refused, and nothing is left", {
  config: workers(),
  files: { "worker.php": workerScript('fwrite(STDERR, "no database\\n"); exit(4);') },
  start: false,
}, async (d) => {
  const { code, stderr } = await d.cli("serve");
  assertEquals(code, 1);
  assertMatch(stderr, /worker "http#\d" did not start: it exited with code 4/);
  assertStringIncludes(stderr, "no database");
  assertEquals(d.leftovers(), []);
});

daemonTest("a deploy that is given up by the daemon's end leaves nothing", {
  config: workers({}, { http: { drain_timeout: "1s" } }),
  files: WORKER,
}, async (d) => {
  const path = workerRelease(d, "v2", "<?php sleep(1000);");
  const deploying = deployPath(d, path, { release_id: "v2" });
  await deploying.step("started");
  await d.ok("shutdown");
  const { error } = await deploying.failure();
  assertMatch(error, /shutting down/);
  assertEquals((await d.ended()).code, 0);
  assertEquals(d.leftovers(), []);
});

function assertSays({ code, stderr, stdout }: CommandResult, says: RegExp[]): void {
  assertEquals(code, 1);
  for (const text of says) assertMatch(stderr + stdout, text);
}

/** Nothing of the bad release is left, nothing of the good one was touched. */
async function assertOnlyV1(d: Daemon, pids: number[]): Promise<void> {
  assertEquals((await d.status()).active_release_id, "v1");
  assertEquals((await workersOf(d)).pools.map(({ release_id, state }) => [release_id, state]), [
    ["v1", "ready"],
  ]);
  assertEquals(await pidsOf(d), pids);
  const workers = d.leftovers().filter(({ command }) => command.includes("worker.php"));
  assertEquals(workers.map(({ pid }) => pid).sort(), [...pids].sort());
}
