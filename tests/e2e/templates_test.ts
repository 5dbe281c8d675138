/**
 * What a program is told: templates in command, hooks, cwd, env and health path, the injected
 * environment, and what it must not inherit.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { deploy } from "../kit/deploying.ts";
import { freeRange } from "../kit/ports.ts";
import { program, webProcess } from "../kit/programs.ts";

/** What the program behind the proxy says of itself. */
interface Seen {
  pid: number;
  argv: string[];
  cwd: string;
  env: Record<string, string>;
}

async function seen(d: Daemon): Promise<Seen> {
  return JSON.parse((await d.get("/environment")).text);
}

/** Every template variable, in the order of the documentation. */
const VARIABLES = [
  "release_path",
  "release_id",
  "revision",
  "application",
  "process_id",
  "replica_index",
  "replica_count",
  "port",
  "ports.api-2",
  "ports.db",
  "proxy.host",
  "proxy.port",
  "proxy.upstream_host",
  "env.GIVEN",
];

const ALL = VARIABLES.map((name) => `{{${name}}}`).join("|");

/** Sets nothing: ports only. */
const idle = { command: program("worker.sh") };

daemonTest("templates and injected environment", {
  env: {
    GIVEN: "from outside",
    NOTIFY_SOCKET: "/nowhere/notify",
    WATCHDOG_USEC: "999999999",
    LISTEN_FDS: "3",
    LISTEN_PID: "1",
    SUPERVISOR_DETACHED: "",
    SUPERVISOR_PORT: "1",
    SUPERVISOR_PID: "1",
    SUPERVISOR_OTHER: "kept",
  },
  config: {
    proxy: {},
    processes: {
      web: webProcess({
        command: [...program("web.mjs", "--port", "{{port}}"), ALL],
        cwd: "{{release_path}}",
        env: { TOLD: ALL, GIVEN: "{{env.GIVEN}}, changed", WEB_VERSION: "{{revision}}" },
        health: { path: "/ping?of={{release_id}}", interval: "20ms" },
      }),
      "api-2": { ...idle, port: freeRange(4) },
      db: { ...idle, policy: "service", port: freeRange(2) },
    },
  },
}, async (d) => {
  const real = d.release("real");
  Deno.symlinkSync(real, d.path("releases", "current"));
  await d.ok("deploy", ...["--release-path", "releases/current", "--revision", "abc123"]);
  const { releases, services } = await d.status();
  const { ports } = releases[0];
  const db = String(services[0].process.port);
  const { argv, cwd, env } = await seen(d);
  const told = [
    real,
    "abc123",
    "abc123",
    "app",
    "web",
    "0",
    "1",
    `${ports.web}`,
    `${ports["api-2"]}`,
    db,
    "127.0.0.1",
    `${d.port}`,
    "127.0.0.1",
    "from outside",
  ];
  assertEquals(env.TOLD.split("|"), told);
  assertEquals(argv.at(-1)!.split("|"), told);
  assertEquals(cwd, real, "the real path, whatever the link points to later");
  assertEquals(env.GIVEN, "from outside, changed");
  assertEquals((await d.get()).text.trim(), "abc123");

  const injected = Object.entries(env).filter(([name]) =>
    // The tests themselves are told by this one which program to test.
    name.startsWith("SUPERVISOR_") && name !== "SUPERVISOR_BIN"
  );
  assertEquals(Object.fromEntries(injected), {
    SUPERVISOR_APPLICATION: "app",
    SUPERVISOR_PROCESS_ID: "web",
    SUPERVISOR_RELEASE_ID: "abc123",
    SUPERVISOR_RELEASE_PATH: real,
    SUPERVISOR_REVISION: "abc123",
    SUPERVISOR_PORT: `${ports.web}`,
    SUPERVISOR_WEB_PORT: `${ports.web}`,
    SUPERVISOR_API_2_PORT: `${ports["api-2"]}`,
    SUPERVISOR_DB_PORT: db,
    SUPERVISOR_REPLICA_INDEX: "0",
    SUPERVISOR_REPLICA_COUNT: "1",
    SUPERVISOR_OTHER: "kept",
  });
  for (const name of ["NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID"]) {
    assertEquals(env[name], undefined, `${name} is meant for the daemon alone`);
  }
});

daemonTest("replicas know which they are", {
  config: {
    processes: {
      tell: {
        replicas: 3,
        command:
          'echo "I am {{replica_index}} of {{replica_count}}" >$SUPERVISOR_REPLICA_INDEX.of.$SUPERVISOR_REPLICA_COUNT; exec sleep 1000',
        cwd: "out",
      },
    },
  },
}, async (d) => {
  d.write("releases/v1/out/.keep", "");
  await deploy(d, "v1").live();
  for (const index of [0, 1, 2]) {
    assertEquals(d.read(`releases/v1/out/${index}.of.3`), `I am ${index} of 3\n`);
  }
});

daemonTest("hooks are rendered, know the process group, and run in this order", {
  config: ({ dir }) => {
    const say = (hook: string) =>
      `echo "${hook} {{process_id}} {{release_id}} $SUPERVISOR_PID $(pwd)" >>${dir}/hooks`;
    return {
      processes: {
        worker: {
          command: "echo $$$$ >leader; exec sleep 1000",
          lifecycle: {
            quiet_command: say("quiet"),
            drain_command: say("drain"),
            drain_timeout: "20s",
            stop_command: `${say("stop")}; kill -TERM -$SUPERVISOR_PID`,
          },
        },
      },
    };
  },
}, async (d) => {
  const path = d.release("v1");
  await deploy(d, "v1").live();
  await deploy(d, "v2", {}, { wait: true }).live();
  const leader = d.read("releases/v1/leader")!.trim();
  assertEquals(
    d.read("hooks")!.trim().split("\n"),
    ["quiet", "drain", "stop"].map((hook) => `${hook} worker v1 ${leader} ${path}`),
  );
});

daemonTest("a variable without a value fails the deploy and names variable and field", {
  config: {
    proxy: {},
    processes: { web: webProcess(), worker: { ...idle, env: { KEY: "x{{env.NOT_SET}}" } } },
  },
}, async (d) => {
  const { code, stderr } = await d.cli("deploy", "--release-path", d.release("v1"));
  assertEquals(code, 1);
  assertMatch(stderr, /\{\{env\.NOT_SET\}\} in processes\.worker\.env\.KEY has no value/);
  assertMatch(stderr, /fix: set the variable in the environment of the daemon/);
  assertEquals((await d.events()).filter(({ event }) => event === "process_started"), []);
});
