/** What `doctor` asks of pipelines, of drivers that answer as a test wants. */

import { assertEquals } from "@std/assert";
import { runCheck } from "../../../../lib/core/check.ts";
import { Failure } from "../../../../lib/core/failure.ts";
import type { Machine } from "../../../../lib/os/system.ts";
import { CHECK_LIMIT, jobsChecks } from "../../../../plugins/jobs/checks.ts";
import type { DriverRecipe } from "../../../../plugins/jobs/driver.ts";
import { memory } from "../../../../plugins/jobs/memory.ts";
import { ManualClock } from "../../../kit/manual_clock.ts";
import { jobsOf, withJobs } from "./kit.ts";

/** What is found when every pipeline of `mail` and `news` is answered for by `check`. */
async function find(check: DriverRecipe["check"], clock = new ManualClock()) {
  const config = withJobs(jobsOf({ mail: {}, news: {} }));
  const machine = { clock } as unknown as Machine;
  const recipe = { ...memory, check };
  const [one] = jobsChecks(config, { machine, state_dir: "/s" }, () => Promise.resolve(recipe));
  const checked = runCheck(one);
  await clock.advance(CHECK_LIMIT);
  const { level, detail, fix } = await checked;
  assertEquals(clock.pending, 0);
  return { level, detail, fix };
}

Deno.test("a driver that has no question, and one whose broker answers", async () => {
  const good = { level: "ok" as const, detail: "mail, news", fix: undefined };
  assertEquals(await find(undefined), good);
  const asked: unknown[] = [];
  const answer = await find(({ driver }, _broker, { state_dir }) => {
    asked.push([driver, state_dir]);
    return Promise.resolve();
  });
  assertEquals(answer, good);
  assertEquals(asked, [["memory", "/s"], ["memory", "/s"]]);
});

Deno.test("what is wrong with a broker is said once for all its pipelines", async () => {
  const failure = new Failure("cannot connect to 127.0.0.1:1: refused", { fix: "start it" });
  assertEquals(await find(() => Promise.reject(failure)), {
    level: "fail",
    detail: "mail, news (memory): cannot connect to 127.0.0.1:1: refused",
    fix: "start it",
  });
});

Deno.test("a broker that says nothing is given up, and its driver told", async () => {
  const given: string[] = [];
  const found = await find((_settings, _broker, _host, signal) => {
    signal.addEventListener("abort", () => given.push(signal.reason.message));
    return new Promise(() => {});
  });
  assertEquals([found.level, found.detail], ["fail", "mail, news (memory): no answer within 3s"]);
  assertEquals(given, ["no answer within 3s", "no answer within 3s"]);
});

Deno.test("without the section, or without pipelines, nothing is asked", () => {
  const host = { machine: { clock: new ManualClock() } as unknown as Machine, state_dir: "/s" };
  assertEquals(jobsChecks(withJobs(undefined), host), []);
  assertEquals(jobsChecks(withJobs(jobsOf({})), host), []);
});
