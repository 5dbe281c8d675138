/**
 * Workers that answer twice, or print behind their answers: what they say unasked is never taken for
 * the answer to the next request, which is somebody else's.
 */

import { assert, assertEquals } from "@std/assert";
import { httpTest, type Site } from "../kit/http_workers.ts";
import { freePort } from "../kit/ports.ts";

const CLIENTS = 20;

/** What a worker does behind one of its answers. */
const THEN = ["twice", "late", "text", "cut", "error"];

/** Answers by what they are: the asker's own token, a clean failure, or somebody else's. */
interface Tally {
  own: number;
  failed: number;
  foreign: string[];
}

/** `count` requests one after the other; every `nth` has a worker that misbehaves. */
async function visit(
  site: Site,
  name: string,
  count: number,
  nth: number,
  tally: Tally,
): Promise<void> {
  for (let i = 0; i < count; i++) {
    const token = `${name}-${i}`;
    const then = i % nth === 0 ? `&then=${THEN[(i / nth) % THEN.length]}` : "";
    const { status, body } = await site.ask(`GET /own?token=${token}${then}`);
    if (status === 200 && body === token) tally.own++;
    else if (status === 502 && !body.includes("client")) tally.failed++;
    else tally.foreign.push(`${token}: ${status} ${body}`);
  }
}

for (const [relay, each] of [["pipes", 50], ["unix", 15], ["tcp", 15]] as const) {
  const count = CLIENTS * each;
  httpTest(
    `${count} requests over ${relay}, workers that answer twice: to each its own`,
    (dir) => ({
      server: { relay: dsn(relay, dir) },
      pool: { num_workers: 4, allocate_timeout: "30s" },
    }),
    async (site) => {
      const tally: Tally = { own: 0, failed: 0, foreign: [] };
      await Promise.all(
        Array.from(
          { length: CLIENTS },
          (_, n) => visit(site, `client${n}`, each, 5 + n % 7, tally),
        ),
      );
      assertEquals(tally.foreign, []);
      assertEquals(tally.own + tally.failed, count);
      assert(tally.own > count / 2, `${tally.own} of ${count} were answered`);
      const told = (await site.told("worker_failed")).map(({ how }) => how);
      assert(told.includes("broken"));
    },
  );
}

function dsn(relay: "pipes" | "unix" | "tcp", dir: string): string {
  if (relay === "pipes") return relay;
  return relay === "unix" ? `unix://${dir}/relay.sock` : `tcp://127.0.0.1:${freePort()}`;
}
