/** Jobs by the clock, through a real daemon that is killed between two runs. */

import { assert, assertEquals } from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { emptied, JOB_WORKER, jobs } from "../kit/jobs.ts";
import { until } from "../kit/wait.ts";
import { told } from "../kit/workers.ts";

const BOOK = "state/schedules.json";

/** A run as a worker got it. */
interface Run {
  id: string;
  due: string;
  schedule: string;
}

/** Longer than a daemon takes to come back, so that the same run is the latest one then. */
const CRON = "*/5 * * * * *";

/** Kills; on a busy machine one may come back too late. */
const TRIES = 4;

const SCHEDULED = ({ dir }: { dir: string }) =>
  jobs({
    pipelines: { mail: { driver: "sqlite", config: { file: "jobs.db" } } },
    schedules: { tick: { cron: CRON, pipeline: "mail", job: "log", payload: `${dir}/log` } },
  })({ dir });

/** Runs as workers got them. */
function runs(d: Daemon): Run[] {
  return (d.read("log") ?? "").split("\n").filter((line) => line !== "").map((line) => {
    const [, id, { due, schedule }] = JSON.parse(line);
    return { id, due: due[0], schedule: schedule[0] };
  });
}

/** Waits until one more run was worked on and acknowledged. @returns when it was due */
async function another(d: Daemon): Promise<string> {
  const before = runs(d).length;
  const due = await until("a run", () => runs(d)[before]?.due);
  await emptied(d);
  return due;
}

/** SIGKILL, and another daemon, which finds that book. @returns whether it pushed that run again */
async function kill(d: Daemon, book: string, run: string): Promise<boolean> {
  d.kill("SIGKILL");
  await d.ended();
  d.write(BOOK, book);
  await d.start();
  const next = await until("a push", async () => {
    const dues = (await told(d, "schedule_pushed")).map(({ due }) => due);
    return dues.slice(1 + dues.indexOf(run))[0];
  });
  return next === run;
}

daemonTest(
  "schedules: a daemon killed after a push that its book does not have: no run comes twice",
  { config: SCHEDULED, files: JOB_WORKER },
  async (d) => {
    const first = await another(d);
    // It may come a moment after the job.
    const book = await until("the book", () => d.read(BOOK));
    let again = false;
    for (let tries = 0; tries < TRIES && !again; tries++) {
      again = await kill(d, book, await another(d));
    }
    assert(again, "a run was pushed a second time");
    await another(d);
    const all = runs(d);
    const dues = all.map(({ due }) => due);
    assertEquals(new Set(dues).size, all.length, JSON.stringify(all));
    assertEquals(dues, dues.toSorted());
    assertEquals(dues[0], first);
    assertEquals(all.map(({ id }) => id), dues.map((due) => `tick-${due}`));
    assertEquals(new Set(all.map(({ schedule }) => schedule)), new Set(["tick"]));
    assert(dues.every((due) => Date.parse(due) % 5000 === 0));
    assertEquals(await told(d, "internal_error"), []);
  },
);
