/** Bad days of jobs at the real daemon: names, payloads, backlogs, files, and workers that kill. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { PidFile } from "../../lib/os/lock.ts";
import { type Daemon, daemonTest, startDaemon } from "../kit/daemon.ts";
import {
  emptied,
  holdJob,
  JOB_WORKER,
  jobs,
  pipelineOf,
  push,
  rpc,
  withoutJobs,
} from "../kit/jobs.ts";
import { callFromPhp } from "../kit/php_rpc.ts";
import type { Yaml } from "../kit/programs.ts";
import { until } from "../kit/wait.ts";
import { told } from "../kit/workers.ts";

const IN_FILE: Yaml = { driver: "sqlite", config: { file: "jobs.db" } };
const DRIVERS: Record<string, Yaml> = { memory: { driver: "memory" }, sqlite: IN_FILE };

/** Tries fast, three times, and keeps what fails. */
const KEEPING: Yaml = {
  retry: { max_attempts: 3, backoff: "1ms", max_delay: "1ms" },
  dead_letter: "keep",
};

/** What a call over RPC is refused with. */
async function refusal(d: Daemon, method: string, argument: unknown): Promise<string> {
  const { error } = await rpc(d, method, argument);
  return error ?? "nothing";
}

function jobTo(pipeline: string, more: Yaml = {}): Yaml {
  const options = { pipeline, priority: 10, ...more };
  return { job: { job: "log", id: crypto.randomUUID(), payload: "", options } };
}

// Names.

daemonTest("a pipeline that nobody wrote, and one that somebody did", {
  config: jobs(),
  files: JOB_WORKER,
}, async (d) => {
  for (const name of ["nope", "Mail", "", "constructor", "__proto__"]) {
    const said = `no such pipeline, requested: ${name}`;
    for (
      const [method, argument] of [
        ["jobs.Push", jobTo(name)],
        ["jobs.PushBatch", { jobs: [jobTo(name).job] }],
        ["jobs.Pause", { pipelines: [name] }],
        ["jobs.Resume", { pipelines: [name] }],
        ["jobs.Destroy", { pipelines: [name] }],
      ] as const
    ) {
      assertStringIncludes(await refusal(d, method, argument), said, method);
    }
  }
  const again = { pipeline: { name: "mail", driver: "memory" } };
  assertStringIncludes(await refusal(d, "jobs.Declare", again), "already exists, name: mail");
  assertEquals((await pipelineOf(d)).counts.pushed, 0);
});

daemonTest("a name written twice is refused, whoever reads the file", {
  config: jobs(),
  files: JOB_WORKER,
}, async (d) => {
  const written = d.read("supervisor.yaml")!;
  const twice = written.replace(/^( +)mail:\n/m, "$1mail: { driver: memory }\n$&");
  assert(twice !== written);
  d.write("supervisor.yaml", twice);
  for (const command of ["validate", "reload"]) {
    const { code, stderr, stdout } = await d.cli(command);
    assertEquals(code, 3, command);
    assertStringIncludes(stderr + stdout, 'the key "mail" is written twice', command);
  }
  await push(d, "log", d.path("log"));
  await until("the job", () => d.read("log"));
});

const NAMES = [
  "App.Mail.Welcome",
  "MAIL",
  "mail",
  "constructor",
  "a:b@c",
  "b/c",
  "x".repeat(128),
];

for (const [driver, pipeline] of Object.entries(DRIVERS)) {
  daemonTest(`${driver}: names of any kind are names, until a reload removes them`, {
    config: ({ dir }) => ({
      ...withoutJobs({ dir }),
      jobs: {
        pipelines: Object.fromEntries(NAMES.map((name) => [name, pipeline])),
        consume: NAMES,
        pool: { num_workers: 1 },
      },
    }),
    files: JOB_WORKER,
  }, async (d) => {
    for (const name of NAMES) {
      await d.ok("jobs", "push", name, "log", "--payload", d.path("log"));
    }
    const lines = await until("all of them", () => {
      const all = (d.read("log") ?? "").split("\n").slice(0, -1);
      return all.length === NAMES.length && all;
    });
    assertEquals(lines.map((line) => JSON.parse(line)[0]).toSorted(), NAMES.toSorted());
    d.configure(jobs({ pipelines: { mail: pipeline } }));
    await d.ok("reload");
    const { json } = await rpc(d, "jobs.List", {});
    assertEquals(json, { pipelines: ["mail"] });
  });
}

daemonTest("nobody declares a pipeline without a section jobs, whose jobs nobody would do", {
  config: withoutJobs,
  files: JOB_WORKER,
}, async (d) => {
  const mine = (driver: string) => ({ pipeline: { name: "mine", driver } });
  for (const driver of ["memory", "sqlite"]) {
    const said = await refusal(d, "jobs.Declare", mine(driver));
    assertStringIncludes(said, "pipeline mine cannot be declared: there is no section jobs");
  }
  assertEquals((await rpc(d, "jobs.List", {})).json, { pipelines: [] });
  assertStringIncludes(await refusal(d, "jobs.Push", jobTo("mine")), "no such pipeline");
  d.configure(jobs());
  await d.ok("reload");
  assertEquals(await refusal(d, "jobs.Declare", mine("memory")), "nothing");
  assertEquals(await refusal(d, "jobs.Resume", { pipelines: ["mine"] }), "nothing");
  await d.ok("jobs", "push", "mine", "log", "--payload", d.path("log"));
  await until("the job", () => d.read("log"));
  d.configure(withoutJobs(d));
  await d.ok("reload");
  assertEquals((await rpc(d, "jobs.List", {})).json, { pipelines: [] });
});

// Payloads and backlogs.

for (const [driver, mail] of Object.entries(DRIVERS)) {
  daemonTest(`${driver}: 50 MB and every byte there is, through RPC to a worker`, {
    config: jobs({}, { mail }),
    files: JOB_WORKER,
  }, async (d) => {
    const big = new Uint8Array(50_000_000).fill(0xff);
    big.set(new TextEncoder().encode(`${big.length} `));
    const job = new BinaryWriter().tag(1, 2).string("size").tag(2, 2).string("big")
      .tag(3, 2).bytes(big)
      .tag(5, 2).bytes(new BinaryWriter().tag(2, 2).string("mail").finish()).finish();
    const hex = new BinaryWriter().tag(1, 2).bytes(job).finish().toHex();
    const address = `unix://${d.path("rpc.sock")}`;
    assertEquals(await callFromPhp(address, [["jobs.Push", { hex }]]), [{ hex: "" }]);
    await emptied(d);
    assertEquals((await pipelineOf(d)).counts.done, 1);
    const every = String.fromCharCode(...Array.from({ length: 256 }, (_, byte) => byte));
    await push(d, "context", `${d.path("seen")} ${every}`);
    await until("the payload", () => d.read("seen"));
    const seen = Deno.readFileSync(d.path("seen"));
    const payload = seen.subarray(seen.indexOf(10) + 1);
    const bytes = Uint8Array.from(every, (char) => char.charCodeAt(0));
    assertEquals(
      payload,
      new Uint8Array([...new TextEncoder().encode(`${d.path("seen")} `), ...bytes]),
    );
  });

  daemonTest(`${driver}: 100,000 delayed jobs, and everything else as before`, {
    config: jobs({}, { mail }),
    files: JOB_WORKER,
  }, async (d) => {
    const [batch, batches] = [5_000, 20];
    const { rss_bytes: before } = await d.status();
    for (let i = 0; i < batches; i++) {
      const all = Array.from({ length: batch }, () => jobTo("mail", { delay: 30 * 24 * 3600 }).job);
      assertEquals(await refusal(d, "jobs.PushBatch", { jobs: all }), "nothing");
    }
    const { delayed, waiting } = await pipelineOf(d);
    assertEquals([delayed, waiting], [batch * batches, 0]);
    await push(d, "log", d.path("log"));
    await until("a job that is due", () => d.read("log"));
    assert((await d.status()).rss_bytes - before < 400e6);
    assertEquals(await told(d, "internal_error"), []);
  });
}

// Files.

/** What lies in the place of the file, and what is said of it. */
const FILES: [what: string, place: (d: Daemon) => void, said: RegExp][] = [
  ["random bytes", (d) => {
    Deno.writeFileSync(d.path("bad.db"), crypto.getRandomValues(new Uint8Array(20_000)));
  }, /not a database/],
  ["a text", (d) => void d.write("bad.db", "hello ".repeat(1000)), /not a database/],
  ["a directory", (d) => void d.write("bad.db/file", ""), /bad\.db/],
  [
    "a link to nowhere",
    (d) => Deno.symlinkSync("/nowhere/at/all", d.path("bad.db")),
    /bad\.db|nowhere/,
  ],
];

const BAD_FILE: Yaml = { driver: "sqlite", config: { file: "bad.db" } };

for (const [what, place, said] of FILES) {
  daemonTest(`${what} for a file: a reload is refused, and nothing else is touched`, {
    config: jobs(),
    files: JOB_WORKER,
  }, async (d) => {
    place(d);
    d.configure(jobs({ pipelines: { mail: { driver: "memory" }, bad: BAD_FILE } }));
    const { code, stderr } = await d.cli("reload");
    assert(code !== 0 && code !== 4, `${code}`);
    assertMatch(stderr, said);
    assertMatch(stderr, /\nfix: /);
    await push(d, "log", d.path("log"));
    await until("a job of the other pipeline", () => d.read("log"));
    assertEquals((await rpc(d, "jobs.List", {})).json, { pipelines: ["mail"] });
    assertEquals((await d.cli("validate")).code, 0, "the text of the file is all right");
    assertEquals((await told(d, "config_rejected")).length, 1);
  });

  Deno.test(`${what} for a file: serve says so and ends`, async () => {
    await using d = await startDaemon({
      config: jobs({ pipelines: { mail: BAD_FILE } }),
      files: JOB_WORKER,
      start: false,
    });
    place(d);
    d.launch();
    const { code } = await d.ended();
    assertEquals(code, 1, d.output());
    assertMatch(d.output(), said);
    assertMatch(d.output(), /fix: /);
    assert(!/\n\s+at /.test(d.output()), d.output());
  });
}

Deno.test("a file that another daemon has: serve says who has it, and ends", async () => {
  await using d = await startDaemon({
    config: jobs({ pipelines: { mail: IN_FILE } }),
    files: JOB_WORKER,
    start: false,
  });
  const me = { pid: Deno.pid, start: "1", boot_id: "x" };
  const theirs = PidFile.acquire(`${d.path("jobs.db")}.lock`, me);
  assert(!theirs.held);
  d.launch();
  const { code } = await d.ended();
  theirs.release();
  assertEquals(code, 1, d.output());
  assertStringIncludes(d.output(), `the process ${Deno.pid} has it in use`);
});

// Workers that kill, and what outlives the daemon.

for (const [driver, mail] of Object.entries(DRIVERS)) {
  daemonTest(`${driver}: jobs that kill every worker end as dead letters, the others are done`, {
    config: jobs({ pool: { num_workers: 2 } }, { mail: { ...mail, ...KEEPING } }),
    files: JOB_WORKER,
  }, async (d) => {
    for (let i = 0; i < 4; i++) await push(d, "die");
    await push(d, "garbage");
    for (let i = 0; i < 3; i++) await push(d, "log", d.path("log"));
    const { dead, counts } = await until("the end of all", async () => {
      const one = await pipelineOf(d);
      return one.counts.done + (one.dead ?? 0) === 8 && one;
    });
    assertEquals([dead, counts.done, counts.failed, counts.dead], [5, 3, 15, 5]);
    assertEquals(await told(d, "internal_error"), []);
  });
}

daemonTest("sqlite: attempts, dead letters and keys outlive a daemon that is killed", {
  config: jobs({}, {
    mail: {
      ...IN_FILE,
      ...KEEPING,
      retry: { max_attempts: 2, backoff: "1ms", max_delay: "1ms" },
      unique: { window: "1h" },
    },
  }),
  files: JOB_WORKER,
}, async (d) => {
  await d.ok("jobs", "push", "mail", "fail", "--id", "gone", "--unique", "k");
  await until("a dead letter", async () => (await pipelineOf(d)).dead === 1);
  await using held = await holdJob(d);
  Deno.kill(held.pid, "SIGKILL");
  await held.again();
  d.kill("SIGKILL");
  await d.ended();
  await d.start();
  const pid = await held.again();
  assertEquals((await pipelineOf(d)).dead, 1);
  await d.ok("jobs", "push", "mail", "log", "--payload", d.path("log"), "--unique", "k");
  assertEquals((await pipelineOf(d)).waiting, 0, "the key still counts");
  Deno.kill(pid, "SIGKILL");
  await until("the second dead letter", async () => (await pipelineOf(d)).dead === 2);
  const failed = await told(d, "job_failed");
  const tries = failed.map(({ id, attempt, then }) => [id, attempt, then]);
  assertEquals(tries, [["gone", 1, "dead"], [held.id, 1, "again in 1ms"], [held.id, 2, "dead"]]);
});
