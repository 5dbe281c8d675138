/** Ten thousand requests that wait for one worker: what they cost, and who is one too many. */

import { assert, assertEquals } from "@std/assert";
import { Fifo } from "../kit/gate.ts";
import { ask, httpTest, route, sendRequest } from "../kit/http_workers.ts";
import { RawPeer } from "../kit/raw_http.ts";

/** Ten thousand, or as many as this machine lets a program have connections. */
const WAITING = Math.min(10_000, 200 * Math.floor((mostFiles() - 500) / 200));
const TOO_MANY = 200;

/** Memory of the daemon for each of them, with its connection, bytes. */
const MOST_EACH = 24 * 1024;

/** Connections that are opened at a time. */
const AT_ONCE = 100;

httpTest(`${WAITING} requests wait: bounded memory, 503 at once for more`, {
  pool: { max_queue_size: WAITING + 1, allocate_timeout: "300s" },
}, async (site) => {
  await using gate = new Fifo(site.daemon.path("gate"));
  await using told = new Fifo(site.daemon.path("told"));
  using first = await site.connect();
  await sendRequest(first, `GET ${route("/wait", { gate: gate.path, told: told.path })}`);
  await told.line();
  const before = memory(site.daemon.pid);
  const clients: RawPeer[] = [];
  try {
    while (clients.length < WAITING) {
      const more = await Promise.all(Array.from({ length: AT_ONCE }, () => site.connect()));
      await Promise.all(more.map((client, i) => sendRequest(client, `GET /body?bytes=${i}`)));
      clients.push(...more);
    }
    await site.poolUntil("all wait", ({ queue }) => queue === WAITING);
    const each = (memory(site.daemon.pid) - before) / WAITING;
    assert(each < MOST_EACH, `${Math.round(each)} bytes for each`);

    using hasty = await site.connect();
    for (let i = 0; i < TOO_MANY; i++) {
      const answer = await ask(hasty, "GET /");
      assertEquals([answer.status, answer.get("retry-after")], [503, "1"]);
    }
    const events = await site.told("pool_exhausted");
    assert(events.length > 0 && events.length < TOO_MANY / 10, `${events.length} events`);

    // Half of them leave; the others are answered, each with its own, as soon as the worker is free.
    for (const client of clients.splice(0, WAITING / 2)) client.close();
    await site.poolUntil("those have left the queue", ({ queue }) => queue === WAITING / 2);
    gate.release();
    assertEquals((await first.message()).body, "waited");
    for (const [i, client] of clients.entries()) {
      assertEquals((await client.message()).body.length, i % AT_ONCE);
    }
  } finally {
    for (const client of clients) client.close();
  }
  assertEquals((await site.ask("GET /")).body, "ok");
});

/** Files a program may have open here. */
function mostFiles(): number {
  const limits = Deno.readTextFileSync("/proc/self/limits");
  return Number(/^Max open files\s+\d+\s+(\d+)/m.exec(limits)?.[1] ?? 1024);
}

/** Resident memory, bytes. */
function memory(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))![1]) * 1024;
}
