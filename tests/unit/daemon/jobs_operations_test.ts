/** Operators' questions about pipelines: drivers that do not answer, ids that several jobs have. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Context } from "../../../lib/daemon/context.ts";
import { jobsOperations, roadRunnerStates } from "../../../lib/daemon/jobs_operations.ts";
import { Failure } from "../../../lib/core/failure.ts";
import type { DeadJob } from "../../../plugins/jobs/driver.ts";
import type { JobsEngine, NewJob, PipelineInfo } from "../../../plugins/jobs/engine.ts";
import { ManualClock } from "../../kit/manual_clock.ts";
import { MAIL } from "../control/kit.ts";

function letter(id: string, payload = "{}"): DeadJob {
  return {
    id,
    name: "mail",
    payload: new TextEncoder().encode(payload),
    headers: {},
    priority: 10,
    delay: 0,
    auto_ack: false,
    attempts: 5,
    error: "no route",
    died_at: 0,
  };
}

/** Pipelines whose dead letters are lists; a test replaces single answers. */
class Scene {
  readonly clock = new ManualClock();
  readonly dead = new Map<string, DeadJob[]>([["mail", []], ["App.Reports", []]]);
  readonly pushed: NewJob[] = [];
  asked = 0;
  stat: Promise<void> = Promise.resolve();
  /** What retrying one does besides. */
  onRetry: (letter: DeadJob) => void = () => {};

  readonly engine = {
    pipelines: () => this.#infos(),
    schedules: () => [],
    push: (_: string, jobs: readonly NewJob[]) => {
      this.pushed.push(...jobs);
      return Promise.resolve(jobs.map(({ id }) => id ?? "new"));
    },
    stat: async () => {
      this.asked++;
      await this.stat;
      return this.#infos().map((info) => ({
        ...info,
        stat: { waiting: 0, delayed: 0, reserved: 0, dead: this.dead.get(info.name)!.length },
      }));
    },
    dead: (pipeline: string, most: number, after?: string) => {
      const all = this.dead.get(pipeline)!;
      const from = after === undefined ? 0 : all.findIndex(({ id }) => id === after) + 1;
      return Promise.resolve(all.slice(from, from + most));
    },
    retry: (pipeline: string, id: string) => {
      const one = this.#take(pipeline, id);
      if (one !== undefined) this.onRetry(one);
      return Promise.resolve(one !== undefined);
    },
    drop: (pipeline: string, id: string) => Promise.resolve(this.#take(pipeline, id) !== undefined),
  } as unknown as JobsEngine;

  readonly host = {
    queues: this.engine,
    clock: this.clock,
    config: { sections: { jobs: {} } },
  } as unknown as Pick<Context, "queues" | "clock" | "config">;

  readonly jobs = jobsOperations(this.host);

  #infos(): PipelineInfo[] {
    const { driver, pool, priority, declared, running, counts } = MAIL;
    const link = { state: "ready" as const };
    const more = { driver, pool, priority, declared, running, counts, link, consuming: true };
    return [...this.dead.keys()].map((name) => ({ name, ...more }));
  }

  #take(pipeline: string, id: string): DeadJob | undefined {
    const all = this.dead.get(pipeline)!;
    const at = all.findIndex((one) => one.id === id);
    return at < 0 ? undefined : all.splice(at, 1)[0];
  }
}

Deno.test("those who ask for numbers at the same time share one question to the drivers", async () => {
  const scene = new Scene();
  const gate = Promise.withResolvers<void>();
  scene.stat = gate.promise;
  const both = Promise.all([scene.jobs.pipelines({}), roadRunnerStates(scene.host)]);
  gate.resolve();
  const [{ pipelines }, states] = await both;
  assertEquals([pipelines.length, states.length, scene.asked], [2, 2, 1]);
  await scene.jobs.pipelines({ pipeline: "mail" });
  assertEquals(scene.asked, 2);
});

Deno.test("a driver that never answers is given up after 8 s, and named", async () => {
  const scene = new Scene();
  const never = () => new Promise<never>(() => {});
  Object.assign(scene.engine, { dead: never, retry: never });
  for (
    const ask of [
      () => scene.jobs.dead({ pipeline: "mail" }),
      () => scene.jobs.letter({ pipeline: "mail", id: "x" }),
      () => scene.jobs.retry({ pipeline: "mail", id: "x" }),
    ]
  ) {
    const failed = assertRejects(
      ask,
      Failure,
      'driver of pipeline "mail" did not answer within 8s',
    );
    await scene.clock.advance(8000);
    await failed;
    assertEquals(scene.clock.pending, 0);
  }
});

Deno.test("all: those that were there, none twice, whatever dies meanwhile", async () => {
  const scene = new Scene();
  const letters = Array.from({ length: 120 }, (_, at) => letter(String(at)));
  scene.dead.set("mail", letters);
  const retried: string[] = [];
  scene.onRetry = (one) => {
    retried.push(one.id);
    letters.push(one);
  };
  const { count } = await scene.jobs.retry({ pipeline: "mail", all: true });
  assertEquals([count, retried.length, new Set(retried).size], [120, 120, 120]);
  const dropped = await scene.jobs.drop({ pipeline: "mail", all: true });
  assertEquals([dropped.count, letters.length], [120, 0]);
});

Deno.test("all of an id that many letters have ends, and takes each", async () => {
  const scene = new Scene();
  scene.dead.set("mail", Array.from({ length: 130 }, () => letter("same")));
  const { payload } = await scene.jobs.letter({ pipeline: "mail", id: "same" });
  assertEquals(payload, "{}");
  // A search among them comes to an end, too.
  await assertRejects(() => scene.jobs.letter({ pipeline: "mail", id: "other" }), Failure);
  assertEquals((await scene.jobs.drop({ pipeline: "mail", all: true })).count, 130);
});

Deno.test("a letter far behind is found, in one pipeline or in all", async () => {
  const scene = new Scene();
  scene.dead.set("mail", Array.from({ length: 200 }, (_, at) => letter(String(at))));
  assertEquals((await scene.jobs.letter({ pipeline: "mail", id: "199" })).id, "199");
  assertEquals(await scene.jobs.drop({ id: "150" }), {
    status: "success",
    pipeline: "mail",
    count: 1,
  });
  scene.dead.set("App.Reports", [letter("3")]);
  const error = await assertRejects(() => scene.jobs.retry({ id: "3" }), Failure);
  assertEquals(error.message, 'several pipelines have a dead letter "3": mail, App.Reports');
  assertEquals(scene.dead.get("App.Reports")!.length, 1);
});

Deno.test("what of a payload is shown: a cut letter does not make a text binary", async () => {
  const scene = new Scene();
  scene.dead.set("mail", [letter("a", "éé")]);
  const shown = async (bytes: number) => {
    const { payload, payload_base64, payload_cut } = await scene.jobs.letter({
      pipeline: "mail",
      id: "a",
      bytes,
    });
    return [payload, payload_base64, payload_cut];
  };
  assertEquals(await shown(4), ["éé", undefined, false]);
  assertEquals(await shown(3), ["é", undefined, true]);
  assertEquals(await shown(0), ["", undefined, true]);
});

Deno.test("retry and drop need to be told what, push one payload", async () => {
  const { jobs } = new Scene();
  for (const request of [{}, { pipeline: "mail" }, { pipeline: "mail", id: "x", all: true }]) {
    const error = await assertRejects(() => jobs.drop(request), Failure);
    assertEquals([error.message, error.exit], [
      'drop needs either the id of a dead letter or "all"',
      2,
    ]);
  }
  const error = await assertRejects(() => jobs.drop({ all: true }), Failure);
  assert(error.message.includes("needs the pipeline"));
  const two = { pipeline: "mail", job: "x", payload: "a", payload_base64: "YQ==" };
  assertEquals((await assertRejects(() => jobs.push(two), Failure)).exit, 2);
});
