/** `explain` and `top` against the real daemon: why something is as it is, also after its restart. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { Explanation, Subject } from "../../lib/control/operations.ts";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { Fifo } from "../kit/gate.ts";
import { program, webProcess } from "../kit/programs.ts";
import { hold, WORKER, workerRelease, workers } from "../kit/workers.ts";

/** Restarts at once, so that tests wait for nothing else. */
const AT_ONCE = { delay: "10ms", max_delay: "20ms" };

async function explained(d: Daemon, name: string): Promise<Subject> {
  const { subjects } = (await d.ok("explain", name, "--json")).json() as Explanation;
  assertEquals(subjects.length, 1, JSON.stringify(subjects));
  return subjects[0];
}

daemonTest(
  "a program that was given up: its ends, the budget, its output; and its story a daemon later",
  {
    config: ({ dir }) => ({
      processes: {
        worker: {
          command: program("crash.sh", "3", `${dir}/fifo`),
          restart: { ...AT_ONCE, max_restarts: 2, window: "10m" },
        },
      },
    }),
  },
  async (d) => {
    await using fifo = new Fifo(d.path("fifo"));
    await d.deploy("v1");
    const fresh = await explained(d, "worker");
    assertEquals([fresh.kind, fresh.release_id, fresh.state], ["process", "v1", "running"]);
    assert(fresh.because.includes("0 of 2 restarts within 10m are used"), fresh.because.join("\n"));
    fifo.release(3);
    await d.event("process_gave_up");
    const { stdout } = await d.ok("explain", "worker");
    assertMatch(stdout, /^process worker of v1: failed\n {2}- /);
    for (
      const words of [
        "supervisor restart --process worker",
        "with code 3 after",
        "2 of 2 restarts within 10m are used",
        "given up after 2 restarts",
        "last words",
      ]
    ) assertStringIncludes(stdout, words);
    assertEquals(stdout.match(/- it ended by itself at/g)?.length, 3);

    d.kill("SIGTERM");
    await d.ended();
    await d.start();
    await d.event("process_ready");
    const later = await explained(d, "worker");
    assertEquals(later.state, "running");
    const story = later.history.map(({ event }) => event);
    const stopped = story.indexOf("daemon_stopped");
    assert(story.indexOf("process_gave_up") < stopped, story.join());
    assert(stopped < story.lastIndexOf("process_ready"), story.join());
    assertMatch(later.because.join("\n"), /ended by itself at \S+ with code 3/);
  },
);

daemonTest(
  "no daemon runs: what the journal of the last one tells, torn as it may be",
  {
    config: ({ dir }) => ({
      processes: {
        worker: {
          command: program("crash.sh", "3", `${dir}/fifo`),
          restart: { ...AT_ONCE, max_restarts: 1 },
        },
      },
    }),
  },
  async (d) => {
    await using fifo = new Fifo(d.path("fifo"));
    await d.deploy("v1");
    fifo.release(2);
    await d.event("process_gave_up");
    await d.ok("shutdown");
    await d.ended();
    Deno.writeTextFileSync(d.path("state/events.jsonl"), '{"at":"2030', { append: true });

    const { stdout, stderr } = await d.ok("explain", "worker");
    assertEquals(stderr, "no daemon answers: this is from its journal\n");
    assertMatch(stdout, /^process worker of v1: gone\n {2}- no daemon reachable at "/);
    for (const words of ["with code 3 after", "given up after 1 restarts", "the daemon stopped"]) {
      assertStringIncludes(stdout, words);
    }
    const release = (await d.ok("explain", "v1", "--json")).json() as Explanation;
    assertEquals(release.journal, d.path("state/events.jsonl"));
    assertEquals(release.subjects.map(({ kind, id, state }) => [kind, id, state]), [
      ["release", "v1", "gone"],
    ]);

    const missing = await d.cli("explain", "worked");
    assertEquals([missing.code, missing.stdout], [1, ""]);
    assertStringIncludes(missing.stderr, 'did you mean "worker"?');
    Deno.removeSync(d.path("state/events.jsonl"));
    const nothing = await d.cli("explain", "worker");
    assertEquals(nothing.code, 4);
    assertMatch(
      nothing.stderr,
      /^error: no daemon reachable at "[^"]+": there is no such socket\n/,
    );
    Deno.mkdirSync(d.path("state/events.jsonl"));
    const unreadable = await d.cli("explain", "worker");
    assertEquals(unreadable.code, 4);
    assertMatch(unreadable.stderr, /; and cannot read the events in "[^"]+": is a directory\n/);
  },
);

daemonTest(
  "a start that failed, in full: at the deploy, in explain, in the journal; no value of the environment",
  {
    config: {
      processes: {
        beacon: { command: ["/bin/sh", "-c", "exec sleep 1000"] },
        broken: {
          command: ["/bin/sh", "-c", "echo stray; echo cannot open the book >&2; exit 7"],
          env: { TOKEN: "unspeakable" },
          health: { tcp: true, timeout: "10s" },
          port: 0,
          depends_on: { beacon: "started" },
        },
      },
    },
  },
  async (d) => {
    const path = d.release("v1");
    const deploy = await d.cli("deploy", "--release-path", path, "--release-id", "v1");
    assertEquals(deploy.code, 1);
    const broken = await explained(d, "broken");
    const { failed_start } = broken;
    assert(failed_start !== undefined, JSON.stringify(broken));
    assertStringIncludes(failed_start.error, '"broken" did not start');
    assertStringIncludes(failed_start.fix!, path);
    const { detail } = failed_start;
    assertEquals([detail.exit_code, detail.cwd, detail.stderr, detail.stdout], [
      7,
      path,
      ["cannot open the book"],
      ["stray"],
    ]);
    assert((detail.env_keys as string[]).includes("TOKEN"));
    assert(Number(detail.elapsed_ms) >= 0);
    const release = await d.cli("explain", "v1");
    assertEquals(release.code, 0, release.stderr);
    for (const words of ["cannot open the book", "exit code: 7", "fix:", "the deploy failed"]) {
      assertStringIncludes(release.stdout, words);
    }
    const all = release.stdout + JSON.stringify(broken) + JSON.stringify(await d.events());
    assert(!all.includes("unspeakable"));
  },
);

daemonTest(
  "a draining release: who holds it, and what cuts it; names that are not there",
  { config: { proxy: { drain_timeout: "30s" }, processes: { web: webProcess() } } },
  async (d) => {
    await d.deploy("v1");
    const flag = d.path("flag");
    const held = d.get(`/wait?flag=${encodeURIComponent(flag)}`);
    await d.statusUntil("a request in flight", ({ leases }) => leases === 1);
    await d.deploy("v2");
    const draining = await explained(d, "v1");
    assertEquals(draining.state, "draining");
    assertMatch(
      draining.because.join("\n"),
      /1 lease is held on it \(1 by HTTP requests\); what is not over in \S+ is cut/,
    );
    const both = (await d.ok("explain", "web", "--json")).json() as Explanation;
    assertEquals(both.subjects.map(({ release_id }) => release_id).sort(), ["v1", "v2"]);
    Deno.writeTextFileSync(flag, "");
    assertEquals((await held).status, 200);
    await d.event("release_stopped");
    assertMatch((await explained(d, "v1")).because.join("\n"), /after "v2" took its place/);
    const missing = await d.cli("explain", "wep");
    assertEquals(missing.code, 1);
    assertStringIncludes(missing.stderr, 'did you mean "web"?');
    assertEquals(missing.stdout, "");
  },
);

daemonTest(
  "a pool and its worker: what it does now, and why the deploy of a broken one failed",
  { config: workers({ num_workers: 1 }), files: WORKER },
  async (d) => {
    await using held = await hold(d);
    const pool = await explained(d, "http");
    assertEquals([pool.kind, pool.state], ["pool", "ready"]);
    assertMatch(pool.because.join("\n"), /of 1 workers 0 are idle, 1 busy/);
    assertMatch(pool.because.join("\n"), /http#0 \(pid \d+\) has been at GET /);
    const worker = await explained(d, "http#0");
    assertEquals([worker.kind, worker.state], ["worker", "working"]);
    assertMatch(worker.because.join("\n"), /started for: start/);
    await held.finish();
    const broken = workerRelease(
      d,
      "v1",
      "<?php echo 'hello'; fwrite(STDERR, 'no book'); exit(3);",
    );
    const deploy = await d.cli("deploy", "--release-path", broken, "--release-id", "v1");
    assertEquals(deploy.code, 1);
    const { failed_start } = await explained(d, "http");
    assertEquals(failed_start?.detail.stdout, ["hello"]);
    assertMatch(String(failed_start?.fix), /stdout belongs to the protocol/);
  },
);

daemonTest(
  "top: once in a pipe, by memory or CPU",
  { config: { ...workers({ num_workers: 1 })({ port: 0 }) }, files: WORKER },
  async (d) => {
    const { stdout } = await d.ok("top");
    assertMatch(
      stdout,
      /^NAME +OF +PID +CPU +MEMORY +UPTIME +STATE\nhttp#0 +initial +\d+ +[\d.]+ %/,
    );
    const rows = (await d.ok("top", "--sort", "memory", "--json")).json();
    assertEquals(rows.map(({ id }: { id: string }) => id), ["http#0"]);
    assert(rows[0].memory_bytes > 0);
    const wrong = await d.cli("top", "--sort", "size");
    assertEquals(wrong.code, 2);
  },
);

daemonTest(
  "top on a terminal goes on until q; the terminal is as before",
  { config: workers({ num_workers: 1 }), files: WORKER },
  async (d) => {
    const { argv, cwd, env } = d.command("top");
    const words = argv.map((word) => `'${word}'`).join(" ");
    const child = new Deno.Command("script", {
      args: ["-qec", `stty rows 24 cols 120; ${words}; stty -a`, "/dev/null"],
      cwd,
      env: { ...env, TERM: "xterm" },
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const typed = child.stdin.getWriter();
    let shown = "";
    let looks = 0;
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      shown += text;
      const now = shown.split("http#0").length - 1;
      if (now <= looks) continue;
      looks = now;
      if (looks === 1) await typed.write(new TextEncoder().encode("x"));
      if (looks === 2) await typed.write(new TextEncoder().encode("q"));
    }
    await typed.close();
    assertEquals((await child.status).code, 0, shown);
    assert(looks >= 2);
    assertMatch(shown, / icanon /);
    assertMatch(shown, / echo /);
  },
);
