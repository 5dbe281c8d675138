/**
 * Random lives of a whole pool on a fake system with fake relays: whatever workers and callers do in
 * whatever order, everybody is answered once, the accounts agree, and nothing is left behind.
 */

import { assert, assertEquals } from "@std/assert";
import { Flag } from "../../../lib/goridge/codes.ts";
import type { WorkerPool } from "../../../lib/pool/contract.ts";
import type { Answer, PoolCall } from "../../../lib/pool/types.ts";
import { forSeeds, type Random } from "../../kit/random.ts";
import { type FakeRelay, World } from "./fake_pool.ts";
import { never, SETTINGS } from "./kit.ts";

const utf8 = new TextEncoder();

interface Asked {
  call: PoolCall;
  settled: number;
  answer?: Answer;
}

function ask(pool: WorkerPool, id: number, all: Asked[]): void {
  const context = utf8.encode(String(id));
  const call = pool.call({ flags: 8, context, body: [], what: String(id) });
  const asked: Asked = { call, settled: 0 };
  all.push(asked);
  call.answer.then((answer) => {
    asked.settled++;
    asked.answer = answer;
    // Never somebody else's.
    if (answer.context.length > 0) {
      assertEquals(new TextDecoder().decode(answer.context), String(id));
    }
  }, () => asked.settled++);
}

/** Answers the request that a worker has with its own text. */
function reply(relay: FakeRelay, more: boolean): void {
  const id = new TextDecoder().decode(relay.asked[0].parts![0]);
  relay.answer(id, more);
}

const ACTS = [
  ...["ask", "ask", "ask", "ask", "reply", "reply", "reply", "reply", "stream", "part", "part"],
  ...["next", "next", "cancel", "leave", "error", "twice", "garbage", "exit", "die", "deaf"],
  ...["reset", "resize", "tick", "tick", "second", "minute", "well", "well", "exits", "mute"],
  ...["fork", "options"],
];

async function act(what: string, random: Random, world: World, pool: WorkerPool, all: Asked[]) {
  const busy = world.busy.length > 0 ? random.pick(world.busy) : undefined;
  const living = world.living.length > 0 ? random.pick(world.living) : undefined;
  const asked = all.length > 0 ? random.pick(all) : undefined;
  switch (what) {
    case "ask":
      return ask(pool, all.length, all);
    case "reply":
      return busy && (busy.streaming ? busy.answer("", false) : reply(busy, false));
    case "stream":
      return busy && !busy.streaming && reply(busy, true);
    case "part":
      return busy?.streaming && busy.answer("", true);
    case "next":
      return void asked?.answer?.next().catch(() => {});
    case "cancel":
      return asked?.call.cancel();
    case "leave": {
      if (busy === undefined || busy.streaming) return;
      return busy.answer('{"stop":true}', false);
    }
    case "error":
      busy?.asked.shift();
      if (busy) busy.streaming = false;
      return busy?.frame({ flags: Flag.error, payload: utf8.encode("boom") });
    case "twice":
      return living?.answer("", false);
    case "options":
      return busy?.frame({ options: [1, 2] });
    case "garbage":
      return living?.garbage();
    case "exit":
    case "die":
      return living?.child.exit(what === "exit" ? 0 : null, what === "exit" ? null : "SIGKILL");
    case "deaf":
      living?.child.deaf.add("SIGTERM");
      return living && void (living.deaf = true);
    case "fork":
      return void living?.child.fork();
    case "reset":
      return void pool.reset(never).catch(() => {});
    case "resize":
      return void pool.resize(random.int(1, 5), never).catch(() => {});
    case "well":
      return void (world.start = "well");
    case "exits":
      return void (world.start = "exit");
    case "mute":
      return void (world.start = "mute");
    case "tick":
      return await world.clock.advance(5);
    case "second":
      return await world.clock.advance(1_000);
    case "minute":
      return await world.clock.advance(61_000);
  }
}

Deno.test("random pools: everybody is answered once, the accounts agree, nothing is left", async () => {
  await forSeeds(150, async (random) => {
    const world = new World();
    const dynamic = { max_workers: 2, spawn_rate: 1, idle_timeout: 5_000 };
    const pool = world.pool({
      ...SETTINGS,
      num_workers: random.int(1, 4),
      max_jobs: random.pick([0, 0, 1, 3]),
      max_queue_size: random.pick([0, 0, 5]),
      max_surge: random.int(1, 2),
      debug: random.chance(0.1),
      dynamic_allocator: random.pick([undefined, dynamic]),
      supervisor: {
        watch_tick: 1_000,
        ttl: random.pick([0, 20_000]),
        idle_ttl: random.pick([0, 5_000]),
        exec_ttl: random.pick([0, 3_000]),
        max_worker_memory: random.pick([0, 0, 500_000]),
      },
    });
    const started = pool.start(never);
    await world.clock.advance(100);
    await started;
    const all: Asked[] = [];
    for (let n = 0; n < 80; n++) {
      await act(random.pick(ACTS), random, world, pool, all);
      await world.clock.advance(0);
      const { idle, busy, starting, target, queue } = pool.snapshot();
      assertEquals(idle + busy + starting, target);
      assert(queue === 0 || idle === 0, "somebody waits while somebody is free");
      assert(all.every(({ settled }) => settled <= 1));
    }
    if (random.chance(0.3)) pool.quiesce();
    const destroyed = pool.destroy();
    if (random.chance(0.3)) pool.hurry(random.int(0, 1_000));
    await world.clock.advance(200_000);
    assertEquals(await destroyed, []);
    assertEquals(all.filter(({ settled }) => settled !== 1).length, 0, "somebody was not answered");
    assertEquals(world.bugs, []);
    assertEquals([...world.booked], []);
    assertEquals(world.system.children.filter(({ alive }) => alive).length, 0);
    assertEquals(world.system.waiting, 0);
    assertEquals(world.clock.pending, 0, "a timer was left");
  });
});
