/** What workers are started as and with: user, relay, environment, and what runs before them. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Daemon, daemonTest, supervisor } from "../kit/daemon.ts";
import { startLoad } from "../kit/load.ts";
import type { Place } from "../kit/daemon_options.ts";
import { freePort } from "../kit/ports.ts";
import { EXTRA, NOBODY, rootTest, WITH_GROUP } from "../kit/root.ts";
import { until } from "../kit/wait.ts";
import {
  deployWorkers,
  hold,
  pidsOf,
  told,
  WORKER,
  workerRelease,
  workers,
  workerScript,
} from "../kit/workers.ts";

const DAEMON = 1;

/** Workers as a user, with sockets that are this user's. */
const asUser = (user: string) => (place: Pick<Place, "dir" | "port">) =>
  workers({}, {
    server: { user, relay: `unix://${place.dir}/relay.sock` },
    rpc: { listen: `unix://${place.dir}/rpc.sock` },
  })(place);

/** What /env says of the worker. */
async function envOf(d: Daemon) {
  return JSON.parse((await d.get("/env")).text);
}

/** Ids and groups of a process as the kernel has them. */
function idsOf(pid: number): { uid: number; gid: number; groups: number[] } {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  const line = (name: string) =>
    new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)![1].trim().split(/\s+/).map(Number);
  return { uid: line("Uid")[0], gid: line("Gid")[0], groups: line("Groups") };
}

for (const [group, gid] of [[undefined, NOBODY], ["extra", EXTRA]] as const) {
  rootTest(
    `workers as nobody${group === undefined ? "" : `, group ${group}`}: ids, uploads, socket`,
    {
      program: [...WITH_GROUP, ...supervisor()],
      config: (place) =>
        workers({}, {
          server: {
            user: "nobody",
            ...(group && { group }),
            relay: `unix://${place.dir}/relay.sock`,
          },
          rpc: { listen: `unix://${place.dir}/rpc.sock` },
        })(place),
      files: WORKER,
    },
    async (d) => {
      for (const pid of await pidsOf(d)) {
        const { groups, ...ids } = idsOf(pid);
        assertEquals(ids, { uid: NOBODY, gid });
        assert(groups.includes(EXTRA), `${groups}`);
      }
      for (const name of ["relay.sock", "rpc.sock"]) {
        const socket = Deno.lstatSync(d.path(name));
        assertEquals([socket.mode! & 0o777, socket.uid, socket.gid], [0o600, NOBODY, gid], name);
      }
      const body = new FormData();
      body.append("f", new File(["content"], "a.txt"));
      const { files } = JSON.parse((await d.get("/upload", { method: "POST", body })).text);
      assertEquals([files[0].text, files[0].uid, files[0].gid, files[0].mode], [
        "content",
        NOBODY,
        gid,
        "0600",
      ]);
      const { env } = await envOf(d);
      assertEquals([env.USER, env.LOGNAME], ["nobody", "nobody"]);
      assertEquals((await d.get("/rpc?method=informer.List&json=true")).text, '["http"]');
    },
  );
}

rootTest("another user by a reload: sockets are there for both while the old workers finish", {
  config: (place) => asUser("nobody")(place),
  files: WORKER,
}, async (d) => {
  await using held = await hold(d);
  d.configure(asUser("daemon")(d));
  await d.ok("reload");
  assertEquals((await envOf(d)).uid, DAEMON);
  assertEquals((await d.get("/rpc?method=informer.List&json=true")).text, '["http"]');
  assertEquals(idsOf(held.pid).uid, NOBODY);
  assertEquals((await held.finish()).status, 200);
  await d.ok("reset");
  assertEquals((await envOf(d)).uid, DAEMON);
  for (const name of ["relay.sock", "rpc.sock"]) {
    assertEquals(Deno.lstatSync(d.path(name)).uid, DAEMON, name);
  }
});

rootTest("a user that does not exist is named, and nothing starts", {
  config: workers({}, { server: { user: "nosuchuser" } }),
  files: WORKER,
  start: false,
}, async (d) => {
  const { code, stderr } = await d.cli("serve");
  assert(code !== 0);
  assertMatch(stderr, /nosuchuser/);
  assertEquals(d.leftovers(), []);
});

for (const kind of ["pipes", "unix", "tcp"] as const) {
  const port = freePort();
  daemonTest(`relay ${kind}: requests, a reset and a deploy under load`, {
    config: (place) => {
      const relay = { pipes: "pipes", unix: `unix://${place.dir}/r.sock`, tcp: dsn(port) }[kind];
      return workers({ num_workers: 3 }, { server: { relay } })(place);
    },
    files: WORKER,
  }, async (d) => {
    const { env } = await envOf(d);
    const expected = { pipes: "pipes", unix: `unix://${d.path("r.sock")}`, tcp: dsn(port) };
    assertEquals(env.RR_RELAY, expected[kind]);
    const load = startLoad({ port: d.port, connections: 3, path: "/version", every: 1 });
    await d.ok("reset");
    await deployWorkers(d, "v1", "--wait");
    await load.answers(5, "v1");
    const report = await load.stop();
    assertEquals(report.failed, 0, report.text);
    // Where the relay is a socket, stdout is free: what is printed is a line of the log.
    const printing = workerRelease(d, "v2", workerScript('echo "free to print\\n";'));
    const deployed = await d.cli("deploy", "--release-path", printing, "--release-id", "v2");
    assertEquals(deployed.code, kind === "pipes" ? 1 : 0);
    if (kind === "pipes") return;
    assertMatch((await d.ok("logs", "--process", "http")).stdout, /http#0 +out .*free to print/);
  });
}

function dsn(port: number): string {
  return `tcp://127.0.0.1:${port}`;
}

daemonTest("the environment of a worker: RoadRunner's variables, ours, and those of the section", {
  config: (place) =>
    workers({}, {
      server: { env: { app_env: "test", WHERE: "{{release_path}}", RR_RPC: "mine" } },
      rpc: { listen: `unix://${place.dir}/rpc.sock` },
    })(place),
  files: WORKER,
}, async (d) => {
  await deployWorkers(d, "v1");
  const { env, cwd } = await envOf(d);
  const path = d.path("releases/v1");
  assertEquals(cwd, path);
  const { RR_MODE, RR_RELAY, RR_RPC, RR_VERSION, APP_ENV, WHERE, SUPERVISOR_RELEASE_ID } = env;
  assertEquals(
    { RR_MODE, RR_RELAY, RR_RPC, RR_VERSION, APP_ENV, WHERE, SUPERVISOR_RELEASE_ID },
    {
      RR_MODE: "http",
      RR_RELAY: "pipes",
      RR_RPC: "mine",
      RR_VERSION: "2025.1.0",
      APP_ENV: "test",
      WHERE: path,
      SUPERVISOR_RELEASE_ID: "v1",
    },
  );
});

/** A configuration whose on_init runs init.sh of the release. */
const initialised = (more: Record<string, unknown> = {}) =>
  workers({}, {
    server: { on_init: { command: "sh init.sh", env: { WHO: "me" }, ...more } },
  });

const INIT = 'pwd >>runs; echo "$WHO ${RR_RELAY-none} $SUPERVISOR_RELEASE_ID"; ';

daemonTest(
  "on_init: once for each release, in its directory, before its workers; not for a reset",
  {
    config: initialised(),
    files: { ...WORKER, "init.sh": `${INIT} : >prepared` },
  },
  async (d) => {
    const runs = (dir: string) => d.read(`${dir}runs`)?.split("\n").length ?? 0;
    assertEquals([d.read("prepared"), runs("")], ["", 2]);
    await d.ok("reset");
    await d.ok("scale", "http", "3");
    assertEquals(runs(""), 2, "it ran once");
    const path = workerRelease(d, "v1", workerScript('file_exists("prepared") || exit(9);'));
    d.write("releases/v1/init.sh", `${INIT} : >prepared`);
    await d.ok("deploy", "--release-path", path, "--release-id", "v1");
    assertEquals([d.read("releases/v1/runs"), runs("")], [`${path}\n`, 2]);
    const { stdout } = await d.ok("logs", "--process", "on_init");
    assertMatch(stdout, /me none initial\n[^]*me none v1/);
    assertEquals((await told(d, "on_init_finished")).map(({ release }) => release), [
      "initial",
      "v1",
    ]);
  },
);

daemonTest("on_init that fails is told, and the deploy goes on; with exit_on_error it does not", {
  config: initialised(),
  files: { ...WORKER, "init.sh": "exit 0" },
}, async (d) => {
  const path = workerRelease(d, "v1");
  d.write("releases/v1/init.sh", "echo no table >&2; exit 7");
  await d.ok("deploy", "--release-path", path, "--release-id", "v1");
  const [failed] = await told(d, "on_init_failed");
  assertEquals([failed.release, failed.fatal], ["v1", false]);
  assertMatch(failed.error, /code 7/);

  d.configure(initialised({ exit_on_error: true })(d));
  const refused = await d.cli("deploy", "--release-path", path, "--release-id", "v2");
  assertEquals(refused.code, 1);
  assertMatch(refused.stderr, /server\.on_init .*code 7/);
  assertMatch(refused.stderr, /no table/);
  assertEquals((await d.get("/version")).text, "v1");
});

rootTest("on_init runs as its own user, with that user's groups", {
  program: [...WITH_GROUP, ...supervisor()],
  config: initialised({ user: "nobody" }),
  files: { ...WORKER, "init.sh": "echo $(id -u) $(id -G) $HOME" },
}, async (d) => {
  const { stdout } = await d.ok("logs", "--process", "on_init");
  assertMatch(stdout, new RegExp(`${NOBODY} ${NOBODY} ${EXTRA} /nonexistent`));
  assertEquals((await envOf(d)).uid, 0, "the workers are still ours");
});

daemonTest("on_init that takes too long is killed with everything it started", {
  config: initialised({ exec_timeout: "300ms" }),
  files: { ...WORKER, "init.sh": 'sleep 1000 & echo $! >child; trap "" TERM; wait' },
}, async (d) => {
  const [failed] = await told(d, "on_init_failed");
  assertMatch(failed.error, /300ms/);
  const child = Number(d.read("child"));
  await until("its child to be gone", () => !d.leftovers().some(({ pid }) => pid === child));
  assertEquals((await d.get()).text, "ok");
});
