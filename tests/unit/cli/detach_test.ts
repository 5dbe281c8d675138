/** What a command hears of a program that it starts and lets go of. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { detach } from "../../../lib/os/detach.ts";
import { logTail, prepareLog } from "../../../lib/os/log_file.ts";
import { ProcessEnd } from "../../../lib/os/process_end.ts";
import { Scratch } from "../../kit/scratch.ts";
import { until } from "../../kit/wait.ts";

function sh(script: string, scratch: Scratch, env: Record<string, string> = {}) {
  const log = scratch.path("log");
  prepareLog(log, false);
  return detach(["/bin/sh", "-c", script, "sh", scratch.dir], env, log);
}

Deno.test("its first line is heard, its stderr is in the log, its environment has what was given", async () => {
  using scratch = new Scratch();
  scratch.write("log", "older\n");
  const child = sh('echo "$0 $WORD"; echo more; echo oops >&2', scratch, { WORD: "hello" });
  assertEquals(await child.line, "sh hello");
  assertEquals(await child.ended, { code: 0, signal: null });
  await child.letGo();
  assertEquals(scratch.read("log"), "older\noops\n");
});

Deno.test("it has a session of its own and stays when we let go", async () => {
  using scratch = new Scratch();
  new Deno.Command("mkfifo", { args: [scratch.path("fifo")] }).outputSync();
  const child = sh('echo up; read line < "$1/fifo"; echo "$line" > "$1/heard"', scratch);
  assertEquals(await child.line, "up");
  const stat = Deno.readTextFileSync(`/proc/${child.pid}/stat`).split(" ");
  assertEquals(Number(stat[5]), child.pid);
  await child.letGo();
  Deno.writeTextFileSync(scratch.path("fifo"), "still there\n");
  await until("its last word", () => scratch.read("heard") === "still there\n");
  await until("its end", () => !child.signal("SIGTERM"));
});

Deno.test("no line: it ended, it closed its stdout, it said too much", async () => {
  using scratch = new Scratch();
  const ended = sh("printf half; exit 3", scratch);
  assertEquals([await ended.line, await ended.ended], [undefined, { code: 3, signal: null }]);
  await ended.letGo();
  const endless = sh("while :; do printf xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done", scratch);
  assertEquals(await endless.line, undefined);
  endless.signal("SIGKILL");
  assertEquals(await endless.ended, { code: null, signal: "SIGKILL" });
  await endless.letGo();
});

Deno.test("the end of a log, from where we began", () => {
  using scratch = new Scratch();
  const log = scratch.write("log", "old\n");
  const from = prepareLog(log, false);
  scratch.write("log", `old\n${"x".repeat(100_000)}\none\n\ntwo\nthree`);
  assertEquals(logTail(log, from, 2), ["two", "three"]);
  assertEquals(logTail(log, from, 3), ["one", "two", "three"]);
  assertEquals(logTail(scratch.path("none"), 0, 3), []);
  assertEquals(Deno.statSync(log).mode! & 0o777, 0o644, "what exists keeps its mode");
});

Deno.test("the end of a process that is not our child", async () => {
  using scratch = new Scratch();
  const script = 'sleep 1000 & echo $! > "$1/new"; mv "$1/new" "$1/pid"; wait';
  const parent = sh(script, scratch);
  const pid = Number(await until("the grandchild", () => scratch.read("pid")));
  using end = new ProcessEnd(pid);
  assertEquals(await end.within(1), false);
  const ending = end.within(20_000);
  Deno.kill(pid, "SIGKILL");
  assertEquals(await ending, true);
  await parent.ended;
  await parent.letGo();
  using nobody = new ProcessEnd(2 ** 22 + 1);
  assertEquals(await nobody.within(1000), undefined);
});

Deno.test("a log that the shell cannot open is said on our stderr", async () => {
  using scratch = new Scratch();
  const program = `
    import { detach } from "${new URL("../../../lib/os/detach.ts", import.meta.url)}";
    const child = detach(["/bin/true"], {}, "${scratch.path("no/such/log")}");
    console.log(await child.line, (await child.ended).code !== 0);
    await child.letGo();
  `;
  const args = ["eval", "--quiet", "--no-lock", program];
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assertEquals(text(stdout), "undefined true\n");
  assertStringIncludes(text(stderr), "no/such/log");
});
