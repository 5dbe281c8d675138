/**
 * The kit's way with a daemon, tried on a false one: a kit that overlooks what is left behind would
 * make every test that relies on it worthless.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { fixture } from "../../kit/programs.ts";
import { type Daemon, startDaemon } from "../../kit/daemon.ts";
import { until } from "../../kit/wait.ts";

const FALSE_DAEMON = [
  Deno.execPath(),
  "run",
  "-A",
  "--quiet",
  "--no-config",
  "--no-lock",
  fixture("false_daemon.mjs"),
];

const start = (mode: string, leftovers = false) =>
  startDaemon({ config: {}, env: { MODE: mode }, program: FALSE_DAEMON, leftovers });

Deno.test("a daemon is ready when its control socket answers, and gone when disposed", async () => {
  let daemon: Daemon;
  {
    await using d = daemon = await start("good");
    assert(d.running);
    assertEquals((await d.status()).pid, d.pid);
    assertEquals((await d.cli("anything", "--json")).json(), { args: ["anything", "--json"] });
    assertEquals(d.leftovers().map(({ pid }) => pid), [d.pid]);
    assert(d.output().includes("serves"));
  }
  assertEquals(daemon.running, false);
  assertEquals((await daemon.ended()).code, 0);
  await assertRejects(() => Deno.stat(daemon.dir), Deno.errors.NotFound);
});

Deno.test("a daemon that ends instead of getting ready is shown with its own words", async () => {
  await assertRejects(() => start("crash"), Error, "no such interface");
});

Deno.test("what a daemon leaves behind is an error, and is killed", async () => {
  const daemon = await start("leave");
  const pid = Number(await until("the child", () => daemon.read("child")));
  await assertRejects(() => daemon[Symbol.asyncDispose](), Error, `left behind: ${pid}`);
  await until("its death", () => !isRunning(pid));
});

Deno.test("what is left behind on purpose is killed without a word", async () => {
  const daemon = await start("leave", true);
  const pid = Number(await until("the child", () => daemon.read("child")));
  daemon.kill("SIGKILL");
  assertEquals((await daemon.ended()).signal, "SIGKILL");
  await daemon[Symbol.asyncDispose]();
  await until("its death", () => !isRunning(pid));
});

function isRunning(pid: number): boolean {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    return !stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z");
  } catch {
    return false;
  }
}
