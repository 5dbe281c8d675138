/** Real workers behind the pipelines, PHP on the protocol and the kit: what they do to jobs. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { JobsConfig, PipelineConfig } from "../../../../lib/config/roadrunner/jobs.ts";
import { realClock } from "../../../../lib/os/clock.ts";
import { UpstreamSet } from "../../../../lib/http/mod.ts";
import { noMetrics } from "../../../../lib/telemetry/metrics.ts";
import type { PipelineStat } from "../../../../plugins/jobs/engine.ts";
import { type Generation, JobsIntake } from "../../../../plugins/jobs/intake.ts";
import { until } from "../../../kit/wait.ts";
import { Bench, SETTINGS } from "../../pool/kit.ts";
import { jobsOf, withJobs } from "./kit.ts";

const PHP = ["php", new URL("../../../fixtures/php/jobs_worker.php", import.meta.url).pathname];
const SOON = { max_attempts: 3, backoff: 1, factor: 1, max_delay: 1, jitter: 0 };

/** Pipelines with real pools. */
class Real implements AsyncDisposable {
  readonly bench = new Bench();
  readonly intake: JobsIntake;
  readonly #config;

  constructor(jobs: JobsConfig, argv: string[]) {
    const { bench } = this;
    this.#config = withJobs(jobs);
    this.intake = new JobsIntake({
      system: bench.system,
      clock: realClock,
      emit: bench.host.emit,
      metrics: noMetrics,
      config: this.#config,
      state_dir: bench.dir,
      signal: bench.end.signal,
      pool: (order, { release_id: release }) => {
        const spec = bench.spec();
        return Promise.resolve(bench.open({
          ...spec,
          ...order,
          worker: { ...spec.worker, argv },
          release,
        }));
      },
    });
  }

  static async live(
    pipeline: Partial<PipelineConfig> = {},
    { argv = PHP, ...pool }: { argv?: string[] } & Record<string, unknown> = {},
  ): Promise<Real> {
    const settings = { ...SETTINGS, ...pool };
    const jobs = jobsOf({ mail: { retry: SOON, ...pipeline } }, { pool: settings });
    const real = new Real(jobs, argv);
    await real.intake.start();
    real.intake.swap(await real.build("v1"));
    return real;
  }

  build(release_id: string): Promise<Generation> {
    return this.intake.build({
      release_id,
      release_path: this.bench.dir,
      revision: "1",
      config: this.#config,
      ports: new Map(),
      upstreams: new UpstreamSet(release_id),
      hopeful: false,
      onReadiness: undefined,
    }, this.bench.end.signal);
  }

  push(name: string, payload: string | Uint8Array = "", id?: string) {
    const bytes = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
    return this.intake.engine.push("mail", [{ name, payload: bytes, id }]);
  }

  /** Resolves when nothing waits and nothing is at a worker. */
  async done(): Promise<PipelineStat> {
    return await until("the pipeline to be empty", async () => {
      const [one] = await this.intake.engine.stat();
      const { waiting, delayed, reserved } = one.stat!;
      return waiting + delayed + reserved === 0 && one;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const live = this.intake.gate.live;
    await this.intake.drain(0);
    if (live !== undefined) await this.intake.drop({ target: live });
    await this.intake[Symbol.asyncDispose]();
    await this.bench[Symbol.asyncDispose]();
    assertEquals(this.bench.events("internal_error"), []);
  }
}

Deno.test("PHP reads the context as the stock library does, and the payload byte for byte", async () => {
  await using real = await Real.live();
  const file = real.bench.path("seen");
  await real.push("context", `${file} \u0000ü`, "1");
  await real.done();
  const [context, payload] = Deno.readTextFileSync(file).split("\n");
  assertEquals(
    context,
    '{"id":"1","job":"context","driver":"memory","headers":{},"queue":"mail","pipeline":"mail"}',
  );
  assertEquals(payload, `${file} \u0000ü`);
});

Deno.test("a payload of 50 MB arrives whole", async () => {
  await using real = await Real.live();
  const payload = new Uint8Array(50_000_000).fill(0x20);
  payload.set(new TextEncoder().encode("50000000"));
  await real.push("size", payload);
  assertEquals((await real.done()).counts.done, 1);
});

const ENDS: [task: string, error: RegExp][] = [
  ["error", /^boom$/],
  ["die", /SIGKILL/],
  ["garbage", /no JSON: "this is no JSON"/],
  ["empty", /no JSON: an empty body/],
  ["stream", /stream/],
];

for (const [task, why] of ENDS) {
  Deno.test(`${task}: delivered again, then kept as a dead letter`, async () => {
    await using real = await Real.live();
    await real.push(task, "", "bad");
    const { counts, stat } = await real.done();
    assertEquals([counts.failed, counts.delivered, stat!.dead], [3, 3, 1]);
    const [dead] = await real.intake.engine.dead("mail", 5);
    assertMatch(dead.error, why);
    assertEquals([dead.id, dead.attempts], ["bad", 3]);
    await real.push("context", real.bench.path("after"));
    assertEquals((await real.done()).counts.done, 1);
  });
}

Deno.test("a worker that never answers is killed after the job's timeout", async () => {
  await using real = await Real.live({ timeout: 200, retry: { ...SOON, max_attempts: 1 } });
  await real.push("hang");
  const { counts } = await real.done();
  assertEquals(counts.failed, 1);
  const [{ error }] = await real.intake.engine.dead("mail", 1);
  assertMatch(error, /own 200ms/);
});

Deno.test("requeued with a count in its headers until it is done", async () => {
  await using real = await Real.live({ retry: undefined });
  await real.push("requeue", "0");
  const { counts } = await real.done();
  assertEquals([counts.requeued, counts.done], [3, 1]);
});

Deno.test("a worker killed while it holds a job: another does it", async () => {
  await using real = await Real.live();
  await real.push("once", real.bench.path("died"));
  const { counts } = await real.done();
  assertEquals([counts.failed, counts.done], [1, 1]);
});

Deno.test("a worker that asks to be replaced: the job goes to another, and is no failure", async () => {
  await using real = await Real.live();
  await real.push("stop", real.bench.path("stopped"));
  const { counts } = await real.done();
  assertEquals([counts.failed, counts.done], [0, 1]);
});

Deno.test("workers that are replaced after each job lose none", async () => {
  await using real = await Real.live({}, { max_jobs: 1 });
  for (let i = 0; i < 20; i++) await real.push("noop");
  assertEquals((await real.done()).counts, {
    pushed: 20,
    refused: 0,
    delivered: 20,
    done: 20,
    failed: 0,
    requeued: 0,
    dead: 0,
    dropped: 0,
  });
});

Deno.test("a deploy while a worker has a job: it is finished there, the others by the new ones", async () => {
  await using real = await Real.live({}, { num_workers: 1 });
  const { bench, intake } = real;
  const told = bench.fifo("told");
  const gate = bench.fifo("gate");
  const lines = bench.path("lines");
  await real.push("wait", `${told.path} ${gate.path}`);
  const old = Number(await told.line());
  for (let i = 0; i < 5; i++) await real.push("log", `${lines} ${i}`);
  const before = intake.gate.live!;
  const draining = intake.swap(await real.build("v2"));
  await until("five jobs to be done", () => linesOf(lines).length === 5);
  assert(linesOf(lines).every(([, , , pid]) => pid !== old));
  assert(bench.runs(old));
  gate.release();
  await draining.idle;
  await intake.drop({ target: before });
  assertEquals((await real.done()).counts.done, 6);
  assert(!bench.runs(old));
});

Deno.test("a drain that is over: the worker is killed, and the job done by the next release", async () => {
  await using real = await Real.live({}, { num_workers: 1 });
  const { bench, intake } = real;
  const told = bench.fifo("told");
  const gate = bench.fifo("gate");
  await real.push("wait", `${told.path} ${gate.path}`);
  const old = Number(await told.line());
  const before = intake.gate.live!;
  const draining = intake.swap(await real.build("v2"));
  draining.cut();
  assertEquals(draining.wasCut, 1);
  await intake.drop({ target: before });
  assert(!bench.runs(old));
  const next = Number(await told.line());
  assert(next !== old);
  gate.release();
  const { counts } = await real.done();
  assertEquals([counts.done, counts.failed, counts.delivered], [1, 0, 2]);
});

Deno.test("workers of the kit: what a handler does to its job", async () => {
  const kit = new URL("../../../../worker/mod.ts", import.meta.url).href;
  const script = `
    import { jobs } from "${kit}";
    jobs((job) => {
      if (job.name === "throws") throw new Error("not today");
      if (job.name === "nacks") job.nack("no use");
      if (job.name === "again") {
        if (job.headers.seen) job.ack();
        else job.requeue("later", { headers: { seen: "yes" } });
      }
    });`;
  const argv = [Deno.execPath(), "eval", "--quiet", script];
  await using real = await Real.live({ dead_letter: "keep" }, { argv, num_workers: 1 });
  for (const name of ["throws", "nacks", "again", "fine"]) await real.push(name, "", name);
  const { counts } = await real.done();
  assertEquals([counts.done, counts.requeued, counts.dead], [2, 1, 2]);
  const dead = await real.intake.engine.dead("mail", 5);
  assertEquals(dead.map(({ id, error }) => [id, error.split("\n")[0]]), [
    ["throws", "Error: not today"],
    ["nacks", "no use"],
  ]);
});

Deno.test("two pools cannot be had when one does not start", async () => {
  const pools = { good: SETTINGS, bad: SETTINGS };
  const jobs = jobsOf({ mail: { pool: "good" } }, { pool: undefined, pools });
  await using real = new Real(jobs, ["php", "-r", "exit(3);"]);
  await real.intake.start();
  const failed = await real.build("v1").then(() => "built", (error) => error.message);
  assertMatch(failed, /exited with code 3/);
});

/** Lines of `log`. */
function linesOf(file: string): [pipeline: string, id: string, headers: object, pid: number][] {
  try {
    return Deno.readTextFileSync(file).split("\n").filter((line) => line !== "")
      .map((line) => JSON.parse(line));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
