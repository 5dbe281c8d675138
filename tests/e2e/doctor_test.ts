/** `doctor`: what would fail is found and named before it fails, and nothing else is called a failure. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { Checked } from "../../lib/core/check.ts";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { program, webProcess, type Yaml } from "../kit/programs.ts";
import { freePort, freeRange } from "../kit/ports.ts";

const config = { proxy: {}, processes: { web: webProcess() } };

/** What doctor finds. @param code the exit code it must have */
async function examine(d: Daemon, code: number, ...args: string[]): Promise<Map<string, Checked>> {
  const result = await d.cli("doctor", "--json", ...args);
  assertEquals(result.code, code, result.stdout + result.stderr);
  const { ok, checks } = result.json();
  assertEquals(ok, code === 0);
  return new Map(checks.map((check: Checked) => [check.id, check]));
}

/** Checks that one check failed, and only that one; each failure says what to do. */
function assertFails(checks: Map<string, Checked>, id: string, detail: RegExp, fix = /./): void {
  const failed = [...checks.values()].filter(({ level }) => level === "fail");
  assertEquals(failed.map(({ id }) => id), [id], JSON.stringify(failed));
  assertMatch(failed[0].detail, detail);
  assertMatch(failed[0].fix ?? "", fix);
}

/** As `config`, with other keys of the web process. */
const web = (keys: Yaml) => ({ proxy: {}, processes: { web: webProcess(keys) } });

daemonTest("before the first start, and beside a daemon", { config, start: false }, async (d) => {
  const before = await examine(d, 0);
  assertEquals(before.get("control_socket")!.level, "ok");
  assertEquals(before.get("programs")!.level, "advice");
  assertMatch(before.get("programs")!.detail, /no release was ever live/);
  assertEquals(d.read("state/lock"), undefined, "nothing is made");

  await d.start();
  await d.deploy("v1");
  const beside = await examine(d, 0);
  assertMatch(beside.get("control_socket")!.detail, new RegExp(`pid ${d.pid}, version`));
  for (const id of ["addresses", "programs", "ports", "releases", "leftovers"]) {
    assertEquals(beside.get(id)!.level, "ok", id);
  }
  const { stdout, code } = await d.cli("doctor");
  assertEquals(code, 0);
  assertMatch(stdout, /^✓ control socket: the daemon answers/m);
  assertMatch(stdout, /\n\n(all checks passed|nothing would fail; .*)\n$/);
});

daemonTest("an address that another program holds", { config, start: false }, async (d) => {
  using stranger = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = stranger.addr;
  const checks = await examine(d, 1, "-o", `proxy.address=127.0.0.1:${port}`);
  assertFails(
    checks,
    "addresses",
    new RegExp(`^proxy.address 127.0.0.1:${port} is taken by pid ${Deno.pid} `),
  );
  const elsewhere = ["-o", `proxy.address=192.0.2.1:${freePort()}`];
  const nowhere = await examine(d, 1, ...elsewhere, "-o", "proxy.upstream_host=127.0.0.1");
  assertFails(nowhere, "addresses", /no interface of this machine has this address/);
  const { stderr, stdout } = await d.cli("doctor", "-o", `proxy.address=127.0.0.1:${port}`);
  assertEquals(stderr, "\n1 check failed\n");
  assertMatch(stdout, /^✗ addresses: .*\n {4}fix: stop that program/m);
});

daemonTest("what a socket may turn out to be", { config, start: false }, async (d) => {
  d.write("run/control.sock", "");
  assertFails(await examine(d, 1), "control_socket", /is not a socket/);
  Deno.removeSync(d.socket);
  await d.start();
  const other = await examine(
    d,
    1,
    "-o",
    "application=other",
    "-o",
    `proxy.address=127.0.0.1:${freePort()}`,
  );
  assertFails(other, "control_socket", /runs the application "app", not "other"/);
  d.kill("SIGSTOP");
  const silent = await examine(d, 1, "-o", `proxy.address=127.0.0.1:${freePort()}`);
  assertFails(silent, "control_socket", /does not answer/);
  d.kill("SIGCONT");
});

daemonTest("directories and files of the state", { config, start: false }, async (d) => {
  await d.start();
  await d.deploy("v1");
  d.kill("SIGKILL");
  await d.ended();
  const left = (await examine(d, 0)).get("leftovers")!;
  assertEquals(left.level, "advice");
  assertMatch(left.detail, /^web \(pid \d+\) still runs$/);

  const book = d.read("state/processes.json")!;
  d.write("state/processes.json", book.slice(0, 40));
  assertFails(await examine(d, 1), "leftovers", /process book ".*" is broken/);
  d.write("state/processes.json", book);

  const state = d.read("state/state.json")!;
  d.write("state/state.json", state.slice(0, 40));
  assertFails(await examine(d, 1), "releases", /state.json" is not a file of this program/);
  d.write("state/state.json", state);

  Deno.chmodSync(d.path("state"), 0o770);
  assertFails(await examine(d, 1), "state_directory", /its group may write in it/);
  Deno.chmodSync(d.path("state"), 0o700);

  Deno.renameSync(d.path("releases/v1"), d.path("releases/moved"));
  const gone = await examine(d, 1);
  assertEquals(gone.get("releases")!.level, "fail");
  assertMatch(gone.get("releases")!.detail, /v1" is in use, but cannot be used: no such file/);
  await d.ok("recover", "--force");
});

daemonTest("a release and its programs", { config, start: false }, async (d) => {
  const dir = d.release("v1", {}, { "plain.txt": "", "bad.sh": "#!/no/such/sh\n" });
  Deno.chmodSync(`${dir}/bad.sh`, 0o755);
  const look = async (keys: Yaml, detail: RegExp, id = "programs") => {
    d.configure(web(keys));
    assertFails(await examine(d, 1, "--release-path", dir), id, detail);
  };
  assertEquals((await examine(d, 0, "--release-path", dir)).get("programs")!.level, "ok");
  await look({ command: ["nosuchprogram"] }, /"nosuchprogram": there is no such program in PATH/);
  await look({ command: "X=1 exec nosuchprogram --port 1" }, /"nosuchprogram": there is no such/);
  await look({ command: ["./plain.txt"] }, /it is not executable/);
  await look({ command: ["./bad.sh"] }, /wants "\/no\/such\/sh", which is not there/);
  await look({ command: "exec sleep {{env.NOWHERE}}" }, /{{env.NOWHERE}} in processes.web.command/);
  await look({ cwd: "{{release_path}}/missing" }, /working directory ".*missing" does not exist/);
  await look({ port: freeRange(1) }, /web needs 2 ports for a deploy, not the one port/, "ports");
  if (Deno.uid() === 0) {
    await look({ user: "nobody-knows" }, /there is no user "nobody-knows"/);
    d.write("releases/v1/mine.sh", "#!/bin/sh\n", 0o700);
    await look(
      { user: "nobody", command: ["./mine.sh"] },
      /user "nobody" may not execute ".*mine.sh"/,
    );
    await look({ user: "nobody", command: ["/root/nobody"] }, /there is no such file/);
  }
  d.configure(config);
  const missing = await examine(d, 1, "--release-path", "nowhere");
  assertMatch(missing.get("release_path")!.detail, /nowhere" cannot be used: no such file/);
});

daemonTest(
  "workers without their script, and a stop without an end",
  {
    start: false,
    config: ({ port }) => ({
      server: { command: "sh worker.sh" },
      http: { address: `127.0.0.1:${port}`, pool: { num_workers: 1 } },
      processes: { slow: { command: program("worker.sh"), graceful_stop: "indefinite" } },
    }),
  },
  async (d) => {
    const dir = d.release("v1");
    const without = await examine(d, 1, "--release-path", dir);
    assertFails(without, "programs", /^http: ".*v1\/worker.sh" is not there$/, /server.command/);
    assertMatch(without.get("budgets")!.detail, /^slow may take for ever to stop/);
    d.write("releases/v1/worker.sh", "");
    await examine(d, 0, "--release-path", dir);

    const look = async (server: Yaml, detail: RegExp) => {
      d.configure({
        server: { command: "sh worker.sh", ...server },
        http: { address: `127.0.0.1:${d.port}`, pool: { num_workers: 1 } },
      });
      assertFails(await examine(d, 1, "--release-path", dir), "programs", detail);
    };
    await look({ on_init: { command: "nosuchprogram" } }, /^.*"nosuchprogram": there is no such/);
    d.write("releases/v1/mine.sh", "#!/no/such/sh\n", 0o700);
    await look({ command: "./mine.sh" }, /^http: ".*mine.sh" wants "\/no\/such\/sh"/);
    if (Deno.uid() !== 0) return;
    d.write("releases/v1/mine.sh", "#!/bin/sh\n", 0o700);
    const who = { command: "./mine.sh", user: "nobody" };
    await look(who, /^http: user "nobody" may not execute ".*mine.sh"$/);
    await look({ ...who, user: "nobody-knows" }, /^.*there is no user "nobody-knows"/);
  },
);

daemonTest("an invalid configuration is the only finding", { config, start: false }, async (d) => {
  d.configure({ processes: { web: { command: "x", polisy: 1 } } });
  const checks = await examine(d, 1);
  assertEquals([...checks.keys()], ["config"]);
  assertStringIncludes(checks.get("config")!.fix!, "supervisor validate");
  Deno.removeSync(d.configFile);
  const { code, stderr } = await d.cli("doctor");
  assertEquals(code, 3);
  assert(stderr.startsWith("error: "), stderr);
});
