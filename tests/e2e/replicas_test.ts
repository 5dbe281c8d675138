/**
 * Several copies of a program: who gets the next request, and what changes of their number and rolling
 * restarts do to those who are just being served.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { startLoad } from "../kit/load.ts";
import { program, webProcess } from "../kit/programs.ts";

/** Copies of a process of the live release, by instance id. */
async function copies(d: Daemon, id: string) {
  const { releases } = await d.status();
  const { processes } = releases.find(({ state }) => state === "active")!;
  return processes.filter(({ process_id }) => process_id === id)
    .sort((a, b) => a.id.localeCompare(b.id));
}

/** Ids of the copies that are up. */
async function up(d: Daemon, id: string): Promise<string[]> {
  return (await copies(d, id)).filter(({ healthy }) => healthy).map((copy) => copy.id);
}

/** Whose answers requests get. */
async function pids(d: Daemon, requests: number): Promise<Set<number>> {
  const found = new Set<number>();
  for (let i = 0; i < requests; i++) {
    found.add(JSON.parse((await d.get("/environment")).text).pid);
  }
  return found;
}

daemonTest(
  "the copy with the fewest requests gets the next one, and every copy gets its share",
  { config: { proxy: {}, processes: { web: webProcess({ replicas: 2 }) } } },
  async (d) => {
    await d.deploy("v1");
    const [first, second] = await copies(d, "web");
    assertEquals([first.id, second.id], ["web#0", "web#1"]);
    assert(first.port !== second.port);
    // Two long requests, one to each copy; with a third one copy has two and the other must get all.
    const flag = d.path("flag");
    const long = [0, 1, 2].map(() => d.get(`/wait?flag=${encodeURIComponent(flag)}`));
    await d.statusUntil("three leases", ({ leases }) => leases === 3);
    const idle = await pids(d, 10);
    assertEquals(idle.size, 1, "all to the one that holds one");
    Deno.writeTextFileSync(flag, "");
    for (const { status } of await Promise.all(long)) assertEquals(status, 200);
    await d.statusUntil("no leases", ({ leases }) => leases === 0);
    assertEquals(await pids(d, 20), new Set([first.pid!, second.pid!]));
  },
);

daemonTest(
  "each copy knows which one it is, companions too",
  {
    config: {
      proxy: {},
      processes: {
        web: webProcess({ replicas: 2 }),
        worker: {
          replicas: 3,
          command: program("worker.sh", "{{replica_index}}/{{replica_count}}"),
        },
      },
    },
  },
  async (d) => {
    await d.deploy("v1");
    const seen = new Set<string>();
    for (let i = 0; i < 10; i++) {
      const { env } = JSON.parse((await d.get("/environment")).text);
      seen.add(`${env.SUPERVISOR_REPLICA_INDEX}/${env.SUPERVISOR_REPLICA_COUNT}`);
    }
    assertEquals([...seen].sort(), ["0/2", "1/2"]);
    const workers = await copies(d, "worker");
    assertEquals(workers.map(({ id }) => id), ["worker#0", "worker#1", "worker#2"]);
    await d.statusUntil("three greetings", ({ releases }) => {
      const said = releases[0].processes.flatMap(({ logs }) => logs.map(({ line }) => line));
      return [0, 1, 2].every((index) =>
        said.some((line) => line.startsWith(`${index}/3 of v1 starts`))
      );
    });
  },
);

daemonTest(
  "restart, more copies and fewer copies under load: no request fails",
  { config: { proxy: {}, processes: { web: webProcess({ replicas: 2 }) } } },
  async (d) => {
    await d.deploy("v1");
    const kept = startLoad({ port: d.port, connections: 3 });
    const fresh = startLoad({ port: d.port, connections: 2, mode: "close" });
    const posts = startLoad({
      port: d.port,
      connections: 2,
      method: "POST",
      path: "/upload",
      body: "x".repeat(2000),
    });
    await Promise.all([kept.answers(20), fresh.answers(20), posts.answers(20)]);

    const before = (await copies(d, "web")).map(({ pid }) => pid);
    const restarted = await d.ok("restart", "--process", "web");
    assertEquals(restarted.stdout.trim(), "restarted web#0, web#1");
    const after = await copies(d, "web");
    assertEquals(after.map(({ id }) => id), ["web#0", "web#1"]);
    for (const { pid, last_start_reason } of after) {
      assert(!before.includes(pid));
      assertEquals(last_start_reason, "manual");
    }

    assertMatch((await d.ok("scale", "web", "4")).stdout, /2 → 4/);
    assertEquals(await up(d, "web"), ["web#0", "web#1", "web#2", "web#3"]);
    await kept.answers(20);
    await d.ok("restart", "--process", "web#1");
    await d.ok("scale", "web", "1");
    assertEquals(await up(d, "web"), ["web#0"]);
    await Promise.all([kept.answers(20), fresh.answers(20), posts.answers(20)]);

    for (const load of [kept, fresh, posts]) {
      const report = await load.stop();
      assertEquals(report.failed, 0, report.text);
    }
  },
);

daemonTest(
  "one of several copies crashes under load: the others serve",
  {
    config: {
      proxy: {},
      processes: { web: webProcess({ replicas: 2, restart: { delay: "10ms" } }) },
    },
  },
  async (d) => {
    await d.deploy("v1");
    const load = startLoad({ port: d.port, connections: 4 });
    await load.answers(20);
    for (let round = 1; round <= 3; round++) {
      Deno.kill((await copies(d, "web"))[round % 2].pid!, "SIGKILL");
      await d.statusUntil(
        "both up again",
        ({ releases }) =>
          releases[0].processes.reduce((sum, { restarts }) => sum + restarts, 0) === round &&
          releases[0].processes.every(({ healthy }) => healthy),
      );
    }
    await load.answers(20);
    const report = await load.stop();
    // What was in flight to the killed program is answered anew or, when an answer had begun, cut.
    assertEquals([...report.statuses.keys()], [200], report.text);
    const { partial, reset, eof, ...others } = report.flaws;
    assertEquals(others, { refused: 0, timeout: 0, garbled: 0 }, report.text);
    assert(partial + reset + eof <= 3 * 4, report.text);
  },
);

daemonTest(
  "what scale said outlives deploys and the daemon; 0 copies is a number, too many is refused",
  {
    config: {
      proxy: {},
      processes: { web: webProcess(), worker: { command: program("worker.sh") } },
    },
  },
  async (d) => {
    await d.deploy("v1");
    await d.ok("scale", "worker", "3");
    // The first one goes on, under the name it was started with.
    assertEquals(await up(d, "worker"), ["worker", "worker#1", "worker#2"]);
    await d.deploy("v2");
    assertEquals(await up(d, "worker"), ["worker#0", "worker#1", "worker#2"]);

    d.kill("SIGTERM");
    assertEquals((await d.ended()).code, 0);
    await d.start();
    assertEquals((await d.status()).active_release_id, "v2");
    assertEquals(await up(d, "worker"), ["worker#0", "worker#1", "worker#2"]);

    const none = (await d.ok("scale", "worker", "0", "--json")).json();
    assertEquals(none, { status: "success", name: "worker", count: 0, previous: 3 });
    assertEquals(await up(d, "worker"), []);
    assertEquals((await d.get()).text, "v2\n");

    const tooMany = await d.cli("scale", "web", "30");
    assertEquals(tooMany.code, 1);
    assertMatch(tooMany.stderr, /"web" cannot have 30 copies: its port range has 20 ports/);
    assertMatch(tooMany.stderr, /processes\.web\.port/);
    const unknown = await d.cli("scale", "wroker", "2");
    assertMatch(unknown.stderr, /no process "wroker".*worker/s);
    assertEquals((await d.cli("scale", "worker", "many")).code, 2);
  },
);

daemonTest(
  "a copy that does not come up: scale says so, the others and the number stay",
  { config: { proxy: {}, processes: { web: webProcess() } } },
  async (d) => {
    await d.deploy("v1");
    // From now on whoever starts in this release crashes.
    d.release("v1", { start_crash: 9 });
    const failed = await d.cli("scale", "web", "3");
    assertEquals(failed.code, 1);
    assertMatch(failed.stderr, /code 9/);
    assertMatch(failed.stderr, /told to crash/, "its last words");
    const [one, ...more] = await copies(d, "web");
    assertEquals([one.healthy, more], [true, []]);

    const pid = one.pid;
    const restart = await d.cli("restart", "--process", "web");
    assertEquals(restart.code, 1);
    assertMatch(restart.stderr, /code 9/);
    assertEquals((await copies(d, "web")).map((copy) => copy.pid), [pid], "the old one serves on");
    assertEquals((await d.get()).text, "v1\n");
  },
);
