/**
 * `predeploy-cleanup` and who else keeps programs running: sessions of the real `screen`, programs of
 * the real supervisord (where they are installed), and what each tool may answer.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { Legacy } from "../kit/legacy.ts";
import { program, type Yaml } from "../kit/programs.ts";
import { until } from "../kit/wait.ts";

const processes = { worker: { command: program("worker.sh") } };

function takingOver(legacy_takeover: Yaml) {
  return { start: false, config: { processes, legacy_takeover } };
}

/** A test that needs a program of the system. */
function testWith(tool: string, ...[name, options, body]: Parameters<typeof daemonTest>): void {
  const { success } = new Deno.Command("/bin/sh", { args: ["-c", `command -v ${tool}`] })
    .outputSync();
  if (success) daemonTest(name, options, body);
  else Deno.test.ignore(`${name} (${tool} is not installed)`, () => {});
}

/** Names nobody else on this machine uses. */
const APP = `app${Deno.pid}`;

const SLEEPERS = /^sleep 82\d\d$/;

for (const detached of [true, false]) {
  const how = detached ? "as started" : "renamed since";
  testWith(
    "screen",
    `a screen session goes, others of nearly its name stay (${how})`,
    { ...takingOver({ screens: [APP], force_stop_timeout: "5s" }) },
    async (d) => {
      await using legacy = new Legacy(d.dir);
      const names = detached ? [APP, `${APP}2`, `my${APP}`] : [`${APP}old`, `${APP}2`, `my${APP}`];
      for (const [i, name] of names.entries()) {
        legacy.start(
          "screen",
          "-dmS",
          name,
          "/bin/sh",
          "-c",
          `sleep 82${i}0 & nohup sleep 82${i}1`,
        );
      }
      await legacy.up(SLEEPERS, 6);
      if (!detached) {
        legacy.start("screen", "-S", `${APP}old`, "-X", "sessionname", APP);
        await until(
          "the new name",
          async () => (await d.run(["screen", "-ls"])).stdout.includes(`.${APP}\t`),
        );
      }
      const plan = (await d.ok("predeploy-cleanup", "--dry-run", "--json")).json().taken_over;
      assertEquals(plan.screens.map(({ name }: { name: string }) => name), [APP]);
      assertEquals(plan.processes.length, 4, "SCREEN, the shell and two programs");
      assertEquals(legacy.alive(SLEEPERS).length, 6);

      const { stdout } = await d.ok("predeploy-cleanup");
      assertMatch(stdout, new RegExp(`^screen ${APP} \\(pid \\d+\\): stopped it$`, "m"));
      assertEquals(legacy.alive(/^sleep 820\d$/), [], "what ignores the hang-up, too");
      assertEquals(legacy.alive(SLEEPERS).length, 4, "near misses stay");
      for (const name of names.slice(1)) await d.run(["screen", "-S", name, "-X", "quit"]);
    },
  );
}

testWith(
  "screen",
  "a session in which the command itself runs is left alone",
  takingOver({ screens: [APP] }),
  async (d) => {
    await using legacy = new Legacy(d.dir);
    const { argv } = d.command("predeploy-cleanup", "--json");
    const words = argv.map((word) => `'${word}'`).join(" ");
    const script = `${words} >${d.path("said")}; echo $? >${d.path("code")}; sleep 8290`;
    legacy.start("screen", "-dmS", APP, "/bin/sh", "-c", script);
    const code = await until("the command's end", () => d.read("code"));
    assertEquals([code, JSON.parse(d.read("said")!).taken_over.screens[0].spared], ["0\n", true]);
    assertEquals(legacy.alive(/^sleep 8290$/).length, 1);
    await d.run(["screen", "-S", APP, "-X", "quit"]);
  },
);

testWith(
  "supervisord",
  "a program of the real supervisord is stopped through it",
  takingOver({ supervisord: ["web", "idle", "unknown"] }),
  async (d) => {
    await using legacy = new Legacy(d.dir);
    const at = d.path("s.sock");
    // supervisorctl reads this file because the command runs in its directory.
    d.write(
      "supervisord.conf",
      `[unix_http_server]\nfile=${at}\n[supervisord]\nnodaemon=true\nlogfile=/dev/null\n` +
        `logfile_maxbytes=0\npidfile=${
          d.path("s.pid")
        }\n[supervisorctl]\nserverurl=unix://${at}\n` +
        `[rpcinterface:supervisor]\n` +
        `supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n` +
        `[program:web]\ncommand=sleep 8291\nstartsecs=0\n` +
        `[program:idle]\ncommand=sleep 8292\nautostart=false\n`,
    );
    const keepers = async () =>
      (await d.ok("predeploy-cleanup", "--json")).json().taken_over.keepers;
    const results = async () => (await keepers()).map(({ result }: { result: string }) => result);
    assertEquals(await results(), ["not running", "not running", "not running"], "no supervisord");
    legacy.start("supervisord", "-c", d.path("supervisord.conf"));
    await legacy.up(/^sleep 8291$/);
    assertEquals(await results(), ["stopped", "not running", "not running"]);
    assertEquals(legacy.alive(/^sleep 8291$/), []);
  },
);

/** Tools that write down how they were called and answer as they are told. */
const fakes = (config: Yaml, tools: Record<string, string>) => ({
  ...takingOver(config),
  files: Object.fromEntries(
    Object.entries(tools).map(([name, script]) => [
      `bin/${name}`,
      `#!/bin/sh\necho "$0 $*" >>calls\n${script}\n`,
    ]),
  ),
});

/** Runs it with the fakes before everything else in PATH. */
async function clean(d: Daemon, ...args: string[]) {
  for (const { name } of Deno.readDirSync(d.path("bin"))) {
    Deno.chmodSync(d.path("bin", name), 0o755);
  }
  const { argv } = d.command("predeploy-cleanup", ...args);
  // A home of its own: other tests have a real PM2.
  const env = [`PATH=${d.path("bin")}:/usr/bin:/bin`, `PM2_HOME=${d.path("pm2")}`];
  return await d.run(["env", ...env, ...argv]);
}

/** Something with the title of PM2's daemon. */
async function likePm2(d: Daemon, legacy: Legacy): Promise<void> {
  const title = `PM2 v0.0.0: God Daemon (${d.path("pm2")})`;
  legacy.start("bash", "-c", `exec -a '${title}' sleep 1000`);
  await legacy.up(/^PM2 v0/);
}

const calls = (d: Daemon) => d.read("calls")?.replaceAll(`${d.path("bin")}/`, "");

daemonTest(
  "apps of PM2 and programs of supervisord are taken from them by their own commands",
  fakes({ supervisord: ["web"], pm2: ["api", "gone"] }, {
    supervisorctl: "echo web: stopped",
    pm2: `[ "$1" = id ] && { [ "$2" = api ] && echo "[ 0, 3 ]" || echo "[]"; }; exit 0`,
  }),
  async (d) => {
    assertMatch((await clean(d)).stdout, /^pm2 api: not running$/m);
    assertEquals(calls(d), "supervisorctl stop web\n", "pm2 would start its daemon");
    Deno.removeSync(d.path("calls"));
    await using legacy = new Legacy(d.dir);
    await likePm2(d, legacy);
    const plan = await clean(d, "--dry-run");
    assertStringIncludes(plan.stdout, "pm2 api: would run pm2 delete with the ids of pm2 id api\n");
    assertEquals(calls(d), undefined);
    const { code, stdout } = await clean(d);
    assertEquals(code, 0);
    assertMatch(stdout, /^supervisord web: stopped\npm2 api: stopped\npm2 gone: not running\n/m);
    assertEquals(calls(d), "supervisorctl stop web\npm2 id api\npm2 delete 0 3\npm2 id gone\n");
  },
);

daemonTest(
  "a tool that fails ends the cleanup before any process is stopped",
  fakes({ pm2: ["api"], screens: [APP], processes: [{ includes: ["sleep 8293"] }] }, {
    pm2: "echo no space left >&2; exit 1",
  }),
  async (d) => {
    await using legacy = new Legacy(d.dir);
    await likePm2(d, legacy);
    legacy.start("sleep", "8293");
    const { code, stderr } = await clean(d);
    assertEquals(code, 1);
    assertMatch(stderr, /^error: cannot stop "api" of pm2: "pm2 id api" ended with code 1\n/);
    assertStringIncludes(stderr, "no space left");
    assertEquals(legacy.alive(/sleep 8293$/).length, 1);

    Deno.removeSync(d.path("bin/pm2"));
    const missing = await clean(d);
    assertEquals(missing.code, 1);
    assert(missing.stderr.includes("pm2 is not in PATH"), missing.stderr);
  },
);
