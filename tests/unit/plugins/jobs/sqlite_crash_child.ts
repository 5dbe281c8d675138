/**
 * A daemon's worth of traffic on one file, until it is killed. Says what it is about to do (small
 * letter) and what it was told is done (capital): p, a, d = pushed, acknowledged, dead.
 *
 * Invariant: a line is written before the next step is begun, so that what is read is what happened.
 */

import { realClock } from "../../../../lib/os/clock.ts";
import { SqliteKind } from "../../../../plugins/jobs/sqlite/recipe.ts";
import { Random } from "../../../kit/random.ts";
import { jobOf, settingsOf } from "./conformance/kit.ts";
import { system } from "./sqlite_kit.ts";

const [dir, seed] = Deno.args;
const random = new Random(Number(seed));
const encoder = new TextEncoder();
const say = (what: string, ids: string[]) =>
  void Deno.stdout.writeSync(encoder.encode(ids.map((id) => `${what} ${id}\n`).join("")));

const kind = new SqliteKind({ clock: realClock, state_dir: dir, system });
const config = { permissions: 0o600 };
const driver = kind.create("default", settingsOf({ driver: "sqlite", config }));
await driver.open();

let made = 0;

async function push(): Promise<void> {
  for (;;) {
    const ids = Array.from({ length: random.int(1, 5) }, () => `${seed}.${made++}`);
    say("p", ids);
    await driver.push(ids.map((id) => jobOf({ id, delay: random.chance(0.2) ? 5 : 0 })));
    say("P", ids);
  }
}

async function work(): Promise<void> {
  for (;;) {
    for (const job of await driver.take(random.int(1, 5), new AbortController().signal)) {
      const what = random.pick(["a", "a", "d", "again", "back"]);
      if (what === "a") {
        say("a", [job.id]);
        await driver.settle(job, { kind: "ack" });
        say("A", [job.id]);
      } else if (what === "d") {
        say("d", [job.id]);
        await driver.settle(job, { kind: "dead", error: "made to" });
        say("D", [job.id]);
      } else if (what === "again") {
        const delay = random.chance(0.3) ? 3 : 0;
        await driver.settle(job, { kind: "again", delay, headers: {}, attempt: job.attempt + 1 });
      } else await driver.settle(job, { kind: "back" });
    }
  }
}

await Promise.all([push(), push(), work(), work(), work()]);
