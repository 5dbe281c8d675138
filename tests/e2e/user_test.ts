/**
 * Programs that run as another user: ids, groups, environment, output; what is wrong with a user is
 * said before anything is started.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { type Daemon, supervisor } from "../kit/daemon.ts";
import { fixture, program } from "../kit/programs.ts";
import { EXTRA, NOBODY, rootTest, WITH_GROUP } from "../kit/root.ts";

/** The lines that the process printed, once `last` is among them. */
function printed(d: Daemon, id: string, last: string): Promise<string[]> {
  return d.statusUntil(`"${last}" of ${id}`, ({ releases }) => {
    const found = releases[0].processes.find(({ process_id }) => process_id === id);
    const lines = found?.logs.map(({ line }) => line) ?? [];
    return lines.includes(last) && lines;
  });
}

const SAY =
  `echo "$(id -u) $(id -g) $(id -G) $HOME $USER $LOGNAME"; echo said >&2; exec sleep 1000`;

rootTest(
  "a user's groups, home and name come with it; hooks and health work as before",
  {
    program: [...WITH_GROUP, ...supervisor()],
    config: ({ dir }) => ({
      processes: {
        named: {
          command: SAY,
          user: "nobody",
          lifecycle: { stop_command: `id -u >${dir}/public/hook; kill "$SUPERVISOR_PID"` },
        },
        grouped: { command: SAY, user: "nobody:extra", env: { HOME: "/elsewhere" } },
        numbered: { command: SAY, user: "7777:8888" },
        ours: { command: "id -u; exec sleep 1000" },
      },
    }),
  },
  async (d) => {
    Deno.mkdirSync(d.path("public"));
    Deno.chmodSync(d.path("public"), 0o777);
    await d.deploy("v1");
    const first = async (id: string) =>
      (await printed(d, id, "said")).find((line) => line !== "said");
    assertEquals(
      await first("named"),
      `${NOBODY} ${NOBODY} ${NOBODY} ${EXTRA} /nonexistent nobody nobody`,
    );
    assertEquals(
      await first("grouped"),
      `${NOBODY} ${EXTRA} ${EXTRA} ${NOBODY} /elsewhere nobody nobody`,
      "what the configuration says of HOME is stronger",
    );
    assertEquals(await first("numbered"), "7777 8888 8888 / 7777 7777");
    await printed(d, "ours", String(Deno.uid()));
    const stopped = await d.post("/v1/stop");
    assertEquals(stopped.status, 200, await stopped.text());
    await d.event("release_stopped");
    assertEquals(d.read("public/hook"), `${NOBODY}\n`, "the hook ran as the user, too");
  },
);

rootTest(
  "a program of another user is restarted and logged like any other",
  {
    program: [...WITH_GROUP, ...supervisor()],
    config: {
      processes: {
        worker: {
          // The fixture itself may lie where this user cannot go.
          command: ["/bin/sh", "{{release_path}}/worker.sh"],
          user: "nobody",
          restart: { delay: "10ms" },
        },
      },
    },
  },
  async (d) => {
    const files = { "worker.sh": Deno.readTextFileSync(fixture("worker.sh")) };
    const path = d.release("v1", {}, files);
    await d.ok("deploy", "--release-path", path, "--release-id", "v1");
    const [{ pid }] = (await d.status()).releases[0].processes.slice(-1);
    assertEquals(Deno.statSync(`/proc/${pid}`).uid, NOBODY);
    Deno.kill(pid!, "SIGKILL");
    const again = await d.statusUntil("its restart", ({ releases }) => {
      const worker = releases[0].processes.at(-1)!;
      return worker.restarts === 1 && worker.healthy && worker;
    });
    assertEquals(Deno.statSync(`/proc/${again.pid}`).uid, NOBODY);
    const { stdout } = await d.ok("logs", "--process", "worker");
    assertEquals(stdout.match(/starts as/g)?.length, 2, "both runs are in the log");
  },
);

rootTest(
  "an unknown user fails the deploy before anything is started, and says what to do",
  { config: { processes: { worker: { command: program("worker.sh"), user: "nobdy" } } } },
  async (d) => {
    const failed = await d.cli("deploy", "--release-path", d.release("v1"), "--release-id", "v1");
    assertEquals(failed.code, 1);
    assertMatch(failed.stderr, /worker.*no user "nobdy"/s);
    assertMatch(failed.stderr, /useradd|correct the name/);
    const started = (await d.events()).filter(({ event }) => event === "process_started");
    assertEquals(started, []);
  },
);

rootTest(
  "a daemon that is not root cannot change the user: the deploy says so",
  {
    // In a user namespace where root has another number: not root there, but its files can be read.
    program: ["unshare", "-U", "--map-user=7000", "--map-group=7000", ...supervisor()],
    config: { processes: { worker: { command: program("worker.sh"), user: "daemon" } } },
  },
  async (d) => {
    const path = d.release("v1");
    const failed = await d.cli("deploy", "--release-path", path, "--release-id", "v1");
    assertEquals(failed.code, 1);
    assertMatch(failed.stderr, /as user "daemon": this daemon runs as uid 7000/);
    assertMatch(failed.stderr, /run the daemon as root, or remove the user setting/);
  },
);
