/** Pipelines for operators: `supervisor jobs …`, the control API, the status address and metrics. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { holdJob, JOB_WORKER, jobs, withoutJobs } from "../kit/jobs.ts";
import { freePort } from "../kit/ports.ts";
import type { Yaml } from "../kit/programs.ts";
import { until } from "../kit/wait.ts";
import type { Letter, PipelineStatus } from "../../lib/control/jobs.ts";

/** Two pipelines that keep what fails. */
const KEEPING: Yaml = {
  pipelines: {
    mail: { driver: "memory", dead_letter: "keep" },
    "App.Reports": { driver: "memory", dead_letter: "keep" },
  },
  consume: ["mail", "App.Reports"],
};

/** `jobs list --json`, one pipeline of it. */
async function pipeline(d: Daemon, name = "mail"): Promise<PipelineStatus> {
  const { pipelines } = (await d.ok("jobs", "list", "--json")).json();
  return pipelines.find((one: PipelineStatus) => one.pipeline === name);
}

/** Pushes jobs that fail at once, and waits until they are dead letters. */
async function die(d: Daemon, ids: readonly string[], name = "mail"): Promise<void> {
  for (const id of ids) await d.ok("jobs", "push", name, "fail", "--payload", id, "--id", id);
  await until("dead letters", async () => (await pipeline(d, name)).dead === ids.length);
}

async function letterOf(d: Daemon, id: string, ...more: string[]): Promise<Letter> {
  return (await d.ok("jobs", "dead", "mail", id, "--json", ...more)).json();
}

daemonTest("jobs push: the worker gets the job with everything that was said", {
  config: jobs({}, { mail: { unique: { window: "1m" } } }),
  files: JOB_WORKER,
}, async (d) => {
  const there = d.path("context");
  const { stdout } = await d.ok(
    ...["jobs", "push", "mail", "context", "--payload", there, "--id", "one two"],
    ...["--header", "a=1", "--header", "a=2=3", "--header", "__proto__=x", "--unique", "k"],
  );
  assertEquals(stdout, "one two\n");
  const [context, payload] = (await until("the job", () => d.read("context"))).split("\n");
  const job = JSON.parse(context);
  assertEquals([job.id, job.job, job.pipeline, payload], ["one two", "context", "mail", there]);
  assertEquals(job.headers.a, ["1", "2=3"]);
  assert(context.includes('"__proto__":["x"]'), context);
  const again = await d.ok("jobs", "push", "mail", "log", "--payload", there, "--unique", "k");
  assertMatch(again.stdout, /^[0-9a-f-]{36}\n$/);
  const { waiting, running, counts } = await pipeline(d);
  assertEquals([waiting, running, counts.delivered], [0, 0, 1]);
});

daemonTest("jobs list and stat: numbers now, and what became of jobs", {
  config: jobs({ ...KEEPING, num_pollers: 1 }),
  files: JOB_WORKER,
}, async (d) => {
  await using held = await holdJob(d);
  await d.ok("jobs", "push", "mail", "log", "--payload", d.path("log"));
  await d.ok("jobs", "push", "mail", "log", "--payload", d.path("log"), "--delay", "1h");
  const { stdout } = await d.ok("jobs", "list");
  const rows = stdout.trimEnd().split("\n").map((line) => line.split(/  +/));
  assertEquals(rows, [
    ["PIPELINE", "DRIVER", "POOL", "STATE", "WAITING", "DELAYED", "RUNNING", "DEAD"],
    ["mail", "memory", "jobs", "consuming", "1", "1", "1", "0"],
    ["App.Reports", "memory", "jobs", "consuming", "0", "0", "0", "0"],
  ]);
  held.finish();
  await until("both to be done", async () => (await pipeline(d)).counts.done === 2);
  const stat = (await d.ok("jobs", "stat", "mail")).stdout.trimEnd().split("\n");
  assertEquals(stat.map((line) => line.split(/  +/).slice(0, 5)), [
    ["PIPELINE", "PUSHED", "REFUSED", "DELIVERED", "DONE"],
    ["mail", "3", "0", "2", "2"],
  ]);
});

daemonTest("jobs pause and resume, each also when it is so already", {
  config: jobs(KEEPING),
  files: JOB_WORKER,
}, async (d) => {
  assertEquals((await d.ok("jobs", "pause", "mail")).stdout, "mail is paused\n");
  assertEquals((await d.ok("jobs", "pause", "mail")).stdout, "mail is paused already\n");
  await d.ok("jobs", "push", "mail", "log", "--payload", d.path("log"));
  const { consuming, waiting } = await pipeline(d);
  assertEquals([consuming, waiting], [false, 1]);
  const json = (await d.ok("jobs", "resume", "mail", "--json")).json();
  assertEquals(json, { status: "success", pipeline: "mail", consuming: true, changed: true });
  await until("the job", () => d.read("log"));
  assertEquals((await d.ok("jobs", "resume", "mail")).stdout, "mail is consumed already\n");
});

daemonTest("dead letters: seen, retried and dropped, one and all", {
  config: jobs(KEEPING),
  files: JOB_WORKER,
}, async (d) => {
  assertEquals((await d.ok("jobs", "dead", "mail")).stdout, "mail has no dead letters\n");
  await die(d, ["a b", "c", "d", "e"]);
  const { stdout } = await d.ok("jobs", "dead", "mail");
  const rows = stdout.trimEnd().split("\n").map((line) => line.split(/  +/));
  assertEquals(rows[0], ["ID", "JOB", "ATTEMPTS", "DIED", "PAYLOAD", "ERROR"]);
  assertEquals(rows.slice(1).map((row) => [row[0], row[1], row[2], row[5]]), [
    ["a b", "fail", "1", "it failed"],
    ["c", "fail", "1", "it failed"],
    ["d", "fail", "1", "it failed"],
    ["e", "fail", "1", "it failed"],
  ]);
  const part = await d.ok("jobs", "dead", "mail", "--lines", "2", "--after", "a b");
  assertEquals(part.stdout.split("\n").slice(1, 3).map((line) => line[0]), ["c", "d"]);
  assertEquals(part.stderr, "there are more: add --after 'd'\n");

  // The same again: it dies once more, behind the others.
  assertEquals(
    (await d.ok("jobs", "retry", "a b")).stdout,
    "1 dead letter of mail is waiting again\n",
  );
  await until("it to be dead again", async () => (await pipeline(d)).counts.dead === 5);
  assertEquals(
    (await d.ok("jobs", "drop", "mail", "c")).stdout,
    "1 dead letter of mail is gone for good\n",
  );
  const gone = await d.cli("jobs", "drop", "mail", "c");
  assertEquals([gone.code, gone.stdout], [1, ""]);
  assertStringIncludes(gone.stderr, 'pipeline "mail" has no dead letter "c"');

  // All are tried once more, none twice: what dies again meanwhile is left as it is.
  const all = (await d.ok("jobs", "retry", "mail", "--all", "--json")).json();
  assertEquals(all, { status: "success", pipeline: "mail", count: 3 });
  await until("all to be dead again", async () => {
    const { counts, dead } = await pipeline(d);
    return counts.dead === 8 && dead === 3;
  });
  assertEquals(
    (await d.ok("jobs", "drop", "mail", "--all")).stdout,
    "3 dead letters of mail are gone for good\n",
  );
  assertEquals((await pipeline(d)).dead, 0);
});

daemonTest("an id without a pipeline is one that only one has", {
  config: jobs(KEEPING),
  files: JOB_WORKER,
}, async (d) => {
  await die(d, ["same", "only"]);
  await die(d, ["same"], "App.Reports");
  const several = await d.cli("jobs", "drop", "same");
  assertEquals(several.code, 2);
  assertStringIncludes(
    several.stderr,
    'several pipelines have a dead letter "same": mail, App.Reports',
  );
  assertEquals(
    (await d.ok("jobs", "drop", "only")).stdout,
    "1 dead letter of mail is gone for good\n",
  );
  const none = await d.cli("jobs", "retry", "only");
  assertEquals(none.code, 1);
  assertStringIncludes(none.stderr, 'no pipeline has a dead letter "only"');
});

daemonTest("payloads: JSON as JSON, text as text, binary as a hexdump, long ones cut with a note", {
  config: jobs(KEEPING),
  files: JOB_WORKER,
}, async (d) => {
  const push = (id: string, ...payload: string[]) =>
    d.ok("jobs", "push", "mail", "fail", "--id", id, ...payload);
  Deno.writeFileSync(d.path("binary"), new Uint8Array([0, 1, 255, 65, 66]));
  d.write("long", "é".repeat(3000));
  await push("json", "--payload", '{"user":12345678901234567890,"a":[1.0,{}]}', "--header", "h=v");
  await push("text", "--payload", "two\nlines \x1b[31m");
  await push("binary", "--payload-file", "binary");
  await push("long", "--payload-file", d.path("long"));
  await push("empty");
  const { argv } = d.command("jobs", "push", "mail", "fail", "--id", "in", "--payload-file", "-");
  assertEquals(
    (await d.run(["sh", "-c", 'printf "\\001\\377" | "$@"', "sh", ...argv])).stdout,
    "in\n",
  );
  await until("them to die", async () => (await pipeline(d)).dead === 6);
  assertEquals((await letterOf(d, "in")).payload_base64, "Af8=");
  const shown = async (id: string, ...more: string[]) => {
    const { stdout } = await d.ok("jobs", "dead", "mail", id, ...more);
    const lines = stdout.trimEnd().split("\n");
    const at = lines.findIndex((line) => line.startsWith("payload"));
    return [lines.slice(0, at), lines.slice(at)];
  };
  const [facts, json] = await shown("json");
  assertEquals(json, [
    "payload, 42 bytes",
    "  {",
    '    "user": 12345678901234567890,',
    '    "a": [',
    "      1.0,",
    "      {}",
    "    ]",
    "  }",
  ]);
  assertEquals(facts.slice(0, 4), [
    "pipeline  mail",
    "job       fail",
    "id        json",
    "attempts  1",
  ]);
  assert(facts.includes("header    h: v") && facts.includes("  it failed"), facts.join("\n"));
  const [, text] = await shown("text");
  assertEquals(text, ["payload, 15 bytes", "  two", "  lines \\x1b[31m"]);
  const [, binary] = await shown("binary");
  assertEquals(binary, [
    "payload, 5 bytes",
    `  00000000  00 01 ff 41 42${" ".repeat(33)}  |...AB|`,
  ]);
  const [, long] = await shown("long", "--bytes", "5");
  assertEquals(long, ["payload, 6000 bytes", "  éé", "  … 5996 bytes more, see --bytes"]);
  assertEquals((await shown("empty"))[1], ["payload, 0 bytes"]);
  const { payload, payload_base64, payload_bytes, payload_cut } = await letterOf(d, "binary");
  assertEquals([payload, payload_base64, payload_bytes, payload_cut], [
    undefined,
    "AAH/QUI=",
    5,
    false,
  ]);
  assertEquals((await letterOf(d, "long")).payload!.length, 2048);
});

daemonTest("bad input: one sentence, a fix and the right code", {
  config: jobs(KEEPING),
  files: JOB_WORKER,
}, async (d) => {
  Deno.writeFileSync(d.path("big"), new Uint8Array(50_000_000));
  const cases: [args: string[], code: number, said: string[]][] = [
    [["stat", "mial"], 1, ['there is no pipeline "mial"', 'did you mean "mail"?']],
    [["push", "zzz", "x"], 1, ['there is no pipeline "zzz"', "pipelines: mail, App.Reports"]],
    [["pause", "m\x1b[2Jail"], 1, ['there is no pipeline "m\\x1b[2Jail"']],
    [["dead", "mail", "no such"], 1, ['has no dead letter "no such"']],
    [["dead", "mail", "x", "--lines", "3"], 2, ["--lines makes no sense with an ID"]],
    [["dead", "mail", "--bytes", "3"], 2, ["--bytes makes no sense with no ID"]],
    [["retry"], 2, ["needs the ID of a dead letter, or a pipeline with --all"]],
    [["drop", "--all"], 2, ["--all needs a pipeline"]],
    [["drop", "mail", "x", "--all"], 2, ['takes --all or an ID, and was given "x" too']],
    [["push", "mail", ""], 2, ['"job" must be a text that is not empty']],
    [["push", "mail", "x", "--header", "h"], 2, ['--header needs KEY=VALUE, not "h"']],
    [["push", "mail", "x", "--unique", "k"], 1, ["pipeline mail keeps no keys of unique jobs"]],
    [["push", "mail", "x", "--payload-file", "none"], 1, ['cannot read the payload from "none"']],
    [["push", "mail", "x", "--payload-file", "."], 1, ['cannot read the payload from "."']],
    [["push", "mail", "x", "--payload-file", "big"], 2, [
      'the payload from "big" is longer than 8.0 MiB, the most that goes through the control socket',
      "push it through the RPC address (jobs.Push)",
    ]],
    [["push", "mail", "x", "--payload", "a", "--payload-file", "b"], 2, ["were both given"]],
  ];
  for (const [args, code, said] of cases) {
    const { stderr, stdout, ...ended } = await d.cli("jobs", ...args);
    assertEquals([ended.code, stdout], [code, ""], `${args}: ${stderr}`);
    for (const text of said) assertStringIncludes(stderr, text);
    assert(!/\n\s+at /.test(stderr) && !stderr.includes("\x1b"), stderr);
  }
  const json = await d.cli("jobs", "stat", "mial", "--json");
  assertEquals([json.code, json.stderr, json.json().fix], [1, "", 'did you mean "mail"?']);
  assertEquals((await pipeline(d)).counts.pushed, 0);
});

daemonTest("the longest payload goes through, byte for byte", {
  config: jobs(KEEPING),
  files: JOB_WORKER,
}, async (d) => {
  const size = 8 * 1024 * 1024;
  const payload = new Uint8Array(size).fill(7);
  payload.set(new TextEncoder().encode(`${size} `));
  Deno.writeFileSync(d.path("payload"), payload);
  await d.ok("jobs", "push", "mail", "size", "--payload-file", "payload");
  await until("it to be done", async () => (await pipeline(d)).counts.done === 1);
});

daemonTest("without a jobs section, or without a daemon", {
  config: withoutJobs,
  files: JOB_WORKER,
}, async (d) => {
  for (const args of [["list"], ["push", "mail", "x"], ["retry", "x"]]) {
    const { code, stderr } = await d.cli("jobs", ...args);
    assertEquals(code, 1);
    assertStringIncludes(stderr, "the configuration in force has no section jobs");
  }
  await d.ok("shutdown");
  for (const args of [["list"], ["push", "mail", "x"]]) {
    assertEquals((await d.cli("jobs", ...args)).code, 4);
  }
});

const STATUS = freePort();
const METRICS = freePort();

daemonTest("the status address and metrics show pipelines", {
  config: jobs(KEEPING, {
    status: { address: `127.0.0.1:${STATUS}` },
    metrics: { address: `127.0.0.1:${METRICS}` },
  }),
  files: JOB_WORKER,
}, async (d) => {
  await die(d, ["x"]);
  await d.ok("jobs", "pause", "mail");
  await d.ok("jobs", "push", "mail", "log", "--payload", d.path("log"));
  const response = await fetch(`http://127.0.0.1:${STATUS}/jobs`);
  const both = await response.json();
  assertEquals([response.status, both[0]], [200, {
    pipeline: "mail",
    priority: 10,
    ready: false,
    queue: "mail",
    active: 1,
    delayed: 0,
    reserved: 0,
    driver: "memory",
    error_message: "",
  }]);
  assertEquals(both.length, 2);
  const text = await (await fetch(`http://127.0.0.1:${METRICS}/metrics`)).text();
  const mail = 'pipeline="mail",driver="memory"';
  for (
    const line of [
      `supervisor_jobs_waiting{${mail}} 1`,
      `supervisor_jobs_dead{${mail}} 1`,
      `supervisor_jobs_pipeline_consuming{${mail}} 0`,
      "rr_jobs_push_ok 2",
      "rr_jobs_jobs_err 1",
      "rr_jobs_total_workers 1",
    ]
  ) assertStringIncludes(text, `${line}\n`);
});
