/**
 * What happens when a program ends that should not: requests wait for the next run, what the last one
 * left is killed first, the budget counts, and giving up is told.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { Fifo } from "../kit/gate.ts";
import { program, webProcess, type Yaml } from "../kit/programs.ts";
import { RawPeer } from "../kit/raw_http.ts";

/** Restarts at once, so that tests wait for nothing else. */
const AT_ONCE = { delay: "10ms", max_delay: "20ms" };

/** Ends when the test says so. */
function crashing(code: number | string, fifo: string, overrides: Yaml = {}): Yaml {
  return { command: program("crash.sh", String(code), fifo), restart: AT_ONCE, ...overrides };
}

/** A process of the live release. */
async function processOf(d: Daemon, id: string) {
  const status = await d.status();
  const release = status.releases.find(({ state }) => state === "active");
  return release?.processes.find(({ process_id }) => process_id === id);
}

/** The live release's process, once it is as wanted. */
function processUntil(
  d: Daemon,
  id: string,
  wanted: (snapshot: NonNullable<Awaited<ReturnType<typeof processOf>>>) => boolean,
) {
  return d.statusUntil(
    `${id} to be as wanted`,
    (status) =>
      status.releases.find(({ state }) => state === "active")?.processes
        .find((one) => one.process_id === id && wanted(one)),
  );
}

daemonTest(
  "requests wait for a crashed program and are answered by its next run",
  { config: { proxy: { hold: "19s" }, processes: { web: webProcess({ restart: AT_ONCE }) } } },
  async (d) => {
    await using gate = new Fifo(d.path("gate"));
    gate.release();
    await d.deploy("v1", { start_gate: gate.path });
    const before = (await processOf(d, "web"))!;
    // One that the program has when it dies, on a connection that was used before: sent once more.
    await d.get("/");
    const flag = d.path("flag");
    const caught = d.get(`/wait?flag=${encodeURIComponent(flag)}`);
    await d.statusUntil("a request in flight", ({ leases }) => leases === 1);
    Deno.kill(before.pid!, "SIGKILL");
    Deno.writeTextFileSync(flag, "");
    // Sent at once: nobody may find the dead program's port, whoever is first.
    const waiting = [caught, ...Array.from({ length: 8 }, () => d.get("/"))];
    await d.statusUntil("all requests to wait", ({ proxy }) => proxy!.waiting === 9);
    const held = await d.status();
    assertEquals(held.proxy!.holding, true);
    assertEquals(held.releases[0].processes[0].healthy, false);
    gate.release();
    for (const { status, text } of await Promise.all(waiting)) {
      assertEquals([status, text], [200, "v1\n"]);
    }
    const after = await processUntil(d, "web", ({ healthy }) => healthy);
    assert(after.pid !== before.pid);
    assertEquals([after.restarts, after.last_start_reason], [1, "crash"]);
    assertEquals(after.exit?.signal, "SIGKILL");
    await d.event("upstreams_down");
    await d.event("upstreams_back");
  },
);

daemonTest(
  "a program that stays away longer than hold: 503 with Retry-After, and 200 when it is back",
  { config: { proxy: { hold: "50ms" }, processes: { web: webProcess({ restart: AT_ONCE }) } } },
  async (d) => {
    await using gate = new Fifo(d.path("gate"));
    gate.release();
    await d.deploy("v1", { start_gate: gate.path });
    const pid = (await processOf(d, "web"))!.pid!;
    Deno.kill(pid, "SIGKILL");
    await processUntil(d, "web", (web) => web.pid !== pid && !web.healthy);
    using client = await RawPeer.connect(d.port);
    await client.request("GET / HTTP/1.1", "Host: x", "Accept: application/json");
    const answer = await client.message();
    assertEquals(answer.status, 503);
    assertMatch(answer.get("retry-after") ?? "", /^\d+$/);
    assertEquals(answer.get("content-type")?.split(";")[0], "application/json");
    assertMatch(JSON.parse(answer.body).error, /\w/);
    gate.release();
    await processUntil(d, "web", ({ healthy }) => healthy);
    assertEquals((await d.get()).status, 200);
  },
);

daemonTest(
  "a program that uses up its restarts is given up with a reason; restart revives it with a new budget",
  {
    config: ({ dir }) => ({
      processes: {
        worker: crashing(3, `${dir}/fifo`, {
          restart: { ...AT_ONCE, max_restarts: 2, window: "10m" },
        }),
      },
    }),
  },
  async (d) => {
    await using fifo = new Fifo(d.path("fifo"));
    await d.deploy("v1");
    const wearOut = async () => {
      fifo.release(3);
      const failed = await processUntil(d, "worker", ({ state }) => state === "failed");
      assertEquals(failed.healthy, false);
      assertEquals(failed.exit_code, 3);
      assertEquals(failed.next_start_at, undefined);
      return failed;
    };
    const failed = await wearOut();
    assertEquals(failed.restarts, 2);
    assertMatch(failed.reason!, /2 restarts .*10m|given up/);
    assertMatch(failed.reason!, /3/, "the exit code is part of the reason");
    await d.event("process_gave_up", ({ data }) => data.process === "worker");

    const shown = await d.ok("status");
    assertStringIncludes(shown.stdout, "failed");
    assertStringIncludes(shown.stdout, failed.reason!.slice(0, 20));

    const restarted = await d.ok("restart", "--process", "worker");
    assertEquals(restarted.stdout.trim(), "restarted worker");
    const revived = (await processOf(d, "worker"))!;
    assertEquals([revived.state, revived.healthy, revived.last_start_reason], [
      "running",
      true,
      "manual",
    ]);
    assertEquals(revived.reason, undefined);
    await wearOut();
  },
);

daemonTest(
  "a command that cannot be started is a state with a reason, tried again until it can",
  {
    config: ({ dir }) => ({
      processes: {
        worker: crashing(1, `${dir}/fifo`, {
          command: ["{{release_path}}/tool", `${dir}/fifo`],
        }),
      },
    }),
  },
  async (d) => {
    await using fifo = new Fifo(d.path("fifo"));
    d.write("releases/v1/tool", '#!/bin/sh\nread _ <"$1"\n', 0o755);
    await d.deploy("v1");
    const tool = d.path("releases/v1/tool");
    Deno.renameSync(tool, `${tool}.away`);
    fifo.release();
    const absent = await processUntil(d, "worker", ({ reason }) => reason?.includes(tool) === true);
    assertEquals(absent.healthy, false);
    assertMatch(absent.reason!, /no such|not found|does not exist/i);
    await d.event("process_start_failed", ({ data }) => data.process === "worker");

    // It is there again, but may not be run: another reason, and still tried.
    Deno.writeTextFileSync(tool, "#!/bin/sh\n", { mode: 0o644 });
    Deno.chmodSync(tool, 0o644);
    await processUntil(d, "worker", ({ reason }) => /permission|executable/i.test(reason ?? ""));
    Deno.renameSync(`${tool}.away`, tool);
    const back = await processUntil(d, "worker", ({ healthy }) => healthy);
    assertEquals([back.state, back.reason], ["running", undefined]);
    assertEquals([back.restarts, back.last_start_reason], [1, "crash"]);
  },
);

daemonTest(
  "what a crashed leader leaves is dead before its successor starts",
  {
    config: ({ dir }) => ({
      processes: {
        worker: {
          restart: AT_ONCE,
          command: [
            `old=$(cat ${dir}/child 2>/dev/null)`,
            // A zombie holds no port and no lock; anything else does.
            `[ -n "$old" ] && grep -q "^State:.[RSDT]" /proc/$old/status 2>/dev/null && echo $old >>${dir}/overlap`,
            `sleep 1000 & echo $! >${dir}/child`,
            `echo up >>${dir}/runs`,
            `read _ <${dir}/fifo`,
            `exit 1`,
          ].join("\n"),
        },
      },
    }),
  },
  async (d) => {
    await using fifo = new Fifo(d.path("fifo"));
    await d.deploy("v1");
    const children: number[] = [];
    for (let run = 1; run <= 5; run++) {
      await processUntil(d, "worker", ({ healthy, restarts }) => healthy && restarts === run - 1);
      children.push(Number(d.read("child")));
      fifo.release();
    }
    await processUntil(d, "worker", ({ healthy, restarts }) => healthy && restarts === 5);
    assertEquals(d.read("overlap"), undefined);
    const events = (await d.events()).filter(({ event }) => event === "process_leftovers_killed");
    assertEquals(events.map(({ data }) => data.pids), children.map((pid) => [pid]));
  },
);

daemonTest(
  "exit 0 is an end that nobody asked for",
  { config: ({ dir }) => ({ processes: { worker: crashing(0, `${dir}/fifo`) } }) },
  async (d) => {
    await using fifo = new Fifo(d.path("fifo"));
    await d.deploy("v1");
    fifo.release();
    const again = await processUntil(
      d,
      "worker",
      ({ healthy, restarts }) => healthy && restarts === 1,
    );
    assertEquals([again.exit?.code, again.exit?.signal], [0, null]);
    assertEquals(again.last_start_reason, "crash");
    const exited = await d.event("process_exited", ({ data }) => data.code === 0);
    assertEquals([exited.level, exited.data.wanted], ["warn", false]);
  },
);
