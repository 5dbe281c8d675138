/** `server.on_init` on a fake system: how it ends, and what becomes of it. */

import { assertEquals, assertRejects } from "@std/assert";
import type { OnInitConfig } from "../../../lib/config/roadrunner/server.ts";
import { Failure } from "../../../lib/core/failure.ts";
import { runOnInit } from "../../../lib/release/on_init.ts";
import { turn } from "../../kit/manual_clock.ts";
import { Stage } from "./stage.ts";
import { aroundOf, workersConfig } from "./worker_configs.ts";

const INIT: OnInitConfig = {
  command: "migrate --to '{{release_id}} x'",
  exec_timeout: 5_000,
  env: { WHERE: "{{release_path}}" },
  exit_on_error: false,
};

/** Begins it. */
function begin(stage: Stage, more: Partial<OnInitConfig> = {}, signal = stage.end.signal) {
  const around = aroundOf(workersConfig());
  const done = runOnInit({ ...INIT, ...more }, around, stage.ground, signal);
  done.catch(() => {});
  return done;
}

Deno.test("it runs in the release, without RR_RELAY and RR_RPC, and stands in the book", async () => {
  using stage = new Stage(workersConfig());
  const done = begin(stage);
  await turn();
  const { spec, pid } = stage.system.last;
  assertEquals(spec.argv, ["migrate", "--to", "v1 x"]);
  assertEquals([spec.cwd, spec.env.WHERE, spec.env.PATH], ["/srv/v1", "/srv/v1", "/bin"]);
  assertEquals(["RR_RELAY" in spec.env, "RR_RPC" in spec.env], [false, false]);
  assertEquals(stage.booked, [pid]);
  stage.system.last.exit(0);
  await stage.pass(done);
  await turn();
  assertEquals(stage.world.names, ["on_init_started", "on_init_finished"]);
  assertEquals([stage.booked, stage.world.output.open_runs], [[], 0]);
});

Deno.test("what it leaves in the background is killed, and stays booked until it is gone", async () => {
  using stage = new Stage(workersConfig());
  const done = begin(stage);
  await turn();
  const child = stage.system.last;
  const left = child.fork();
  child.immortal.add(left);
  child.exit(0);
  await stage.pass(done);
  assertEquals([child.signals, stage.booked], [["SIGKILL"], [child.pid]]);
  child.end(left);
  await turn();
  assertEquals(stage.booked, []);
});

Deno.test("a failure is told and the start goes on", async () => {
  using stage = new Stage(workersConfig());
  const done = begin(stage);
  await turn();
  stage.system.last.exit(7);
  await stage.pass(done);
  const [failed] = stage.world.events("on_init_failed");
  assertEquals([failed.error, failed.fatal], ["exited with code 7", false]);
});

Deno.test("with exit_on_error it is the failure of the release, with what it said last", async () => {
  using stage = new Stage(workersConfig());
  const done = begin(stage, { exit_on_error: true });
  await turn();
  stage.world.output.say("no table");
  stage.system.last.exit(7);
  const failure = await assertRejects(() => stage.pass(done), Failure, "exited with code 7");
  assertEquals((failure as Failure).detail?.stderr, ["no table"]);
  assertEquals(stage.world.events("on_init_failed").map(({ fatal }) => fatal), [true]);
});

Deno.test("what cannot be spawned fails the same way", async () => {
  using stage = new Stage(workersConfig());
  stage.system.mayspawn = () => {
    throw new Failure("no such program");
  };
  await stage.pass(begin(stage));
  assertEquals(stage.world.events("on_init_failed")[0].error, "no such program");
  const again = begin(stage, { exit_on_error: true });
  await assertRejects(() => stage.pass(again), Failure, "no such program");
});

Deno.test("after exec_timeout its whole group is killed", async () => {
  using stage = new Stage(workersConfig());
  const done = begin(stage);
  await turn();
  const child = stage.system.last;
  child.fork();
  await stage.clock.advance(4_999);
  assertEquals(child.signals, []);
  await stage.pass(done);
  assertEquals([child.signals, child.alive], [["SIGKILL"], false]);
  assertEquals(stage.world.events("on_init_failed")[0].error, "killed: it did not end within 5s");
});

Deno.test("a deploy that is undone kills it, and fails for its own reason", async () => {
  using stage = new Stage(workersConfig());
  const undone = new AbortController();
  const done = begin(stage, {}, undone.signal);
  await turn();
  undone.abort(new Failure("undone"));
  await assertRejects(() => stage.pass(done), Failure, "undone");
  assertEquals(stage.system.last.alive, false);
  assertEquals(stage.world.events("on_init_failed"), []);
  const late = begin(stage, {}, undone.signal);
  await assertRejects(() => stage.pass(late), Failure, "undone");
  assertEquals(stage.system.children.length, 1);
});

Deno.test("one that a dead daemon left is stopped before the next begins", async () => {
  using before = new Stage(workersConfig());
  begin(before);
  await turn();
  const old = before.system.last;
  old.deaf.add("SIGTERM");
  using stage = new Stage(workersConfig(), before);
  const done = begin(stage);
  await turn();
  assertEquals([stage.system.last === old, old.signals], [true, ["SIGTERM"]]);
  for (let moves = 0; stage.system.last === old && moves < 10; moves++) {
    await stage.clock.advance(stage.clock.next!);
  }
  assertEquals([old.alive, stage.system.last === old], [false, false]);
  stage.system.last.exit(0);
  await stage.pass(done);
});
