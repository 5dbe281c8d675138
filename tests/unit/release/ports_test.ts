/** The port table. */

import { assertEquals, assertThrows } from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import type { PortState } from "../../../lib/os/system.ts";
import { PortTable } from "../../../lib/release/ports.ts";
import { forSeeds } from "../../kit/random.ts";

const HOST = "127.0.0.1";
const NONE: ReadonlySet<number> = new Set();

/** A table in which `states` tells what is not free; the system chooses 40000, 40001 … */
function tableOf(states: Record<number, PortState> = {}) {
  let ephemeral = 40_000;
  return new PortTable((_, port) => states[port] ?? "free", () => ephemeral++);
}

Deno.test("the first free port of the range, each to one owner", () => {
  const table = tableOf({ 7001: "in_use" });
  const range = { from: 7000, to: 7003 };
  assertEquals(table.reserve("a", range, HOST, NONE), 7000);
  assertEquals(table.reserve("b", range, HOST, NONE), 7002);
  assertEquals(table.reserve("c", range, HOST, NONE), 7003);
});

Deno.test("the host that is probed is the one that is asked for", () => {
  const hosts: string[] = [];
  const table = new PortTable((host) => (hosts.push(host), "free"), () => 0);
  table.reserve("a", { from: 7000, to: 7000 }, "::1", NONE);
  assertEquals(hosts, ["::1"]);
});

Deno.test("a port given back is handed out again; ports left out are not", () => {
  const table = tableOf();
  const range = { from: 7000, to: 7001 };
  assertEquals(table.reserve("a", range, HOST, NONE), 7000);
  table.release(7000);
  assertEquals(table.ownerOf(7000), undefined);
  assertEquals(table.reserve("b", range, HOST, new Set([7000])), 7001);
  assertEquals(table.ownerOf(7001), "b");
});

Deno.test("0 lets the system choose, never what is reserved or left out", () => {
  const table = tableOf();
  const any = { from: 0, to: 0 };
  table.take("x", 40_000);
  assertEquals(table.reserve("a", any, HOST, new Set([40_001])), 40_002);
  const stuck = new PortTable(() => "free", () => 50_000);
  assertEquals(stuck.reserve("a", any, HOST, NONE), 50_000);
  const failure = assertThrows(() => stuck.reserve("b", any, HOST, NONE), Failure);
  assertEquals(failure.message, `no free port could be had from the system for "b" on ${HOST}`);
});

Deno.test("a used range says why each port was passed over", () => {
  const table = tableOf({ 7001: "in_use", 7002: { refused: "permission denied" } });
  const range = { from: 7000, to: 7003 };
  table.reserve("a", range, HOST, NONE);
  table.reserve("b", range, HOST, NONE);
  const failure = assertThrows(() => table.reserve("web of v2", range, HOST, NONE), Failure);
  assertEquals(
    failure.message,
    'no port of 7000-7003 (4 ports) is free on 127.0.0.1 for "web of v2": ' +
      "2 reserved by running releases, 1 in use by other programs, " +
      "1 could not be bound (permission denied)",
  );
  assertEquals(failure.detail, { reserved: 2, inUse: 1, refused: 1, sample: "permission denied" });
});

Deno.test("a single port says who has it", () => {
  const one = { from: 7000, to: 7000 };
  const text = (table: PortTable) =>
    assertThrows(() => table.reserve("web of v2", one, HOST, NONE), Failure).text;
  const held = tableOf();
  held.reserve("web of v1", one, HOST, NONE);
  assertEquals(
    text(held),
    'port 7000 of "web of v2" is still held by web of v1\n' +
      "give a range, such as 7000-7099, so that two releases can overlap",
  );
  assertEquals(
    text(tableOf({ 7000: "in_use" })),
    'port 7000 of "web of v2" is in use by another program\nfree port 7000 or choose another',
  );
  assertEquals(
    text(tableOf({ 7000: { refused: "permission denied" } })),
    'port 7000 of "web of v2" is not to be had (permission denied)\n' +
      "free port 7000 or choose another",
  );
});

Deno.test("take() asks nobody but the table", () => {
  const table = tableOf({ 7000: "in_use" });
  assertEquals(table.take("a", 7000), true);
  assertEquals(table.take("b", 7000), false);
  assertEquals(table.ownerOf(7000), "a");
});

Deno.test("random reservations: no port has two owners, none is lost", () =>
  forSeeds(100, (random) => {
    const busy = new Set<number>();
    let ephemeral = 7000;
    const table = new PortTable(
      (_, port) => busy.has(port) ? "in_use" : "free",
      () => 7000 + ephemeral++ % 40,
    );
    const owned = new Map<number, string>();
    for (let step = 0; step < 200; step++) {
      const owner = `p${step}`;
      if (random.chance(0.2)) busy[random.pick(["add", "delete"] as const)](random.int(7000, 7019));
      if (random.chance(0.4) && owned.size > 0) {
        const port = random.pick([...owned.keys()]);
        owned.delete(port);
        table.release(port);
        continue;
      }
      const from = random.chance(0.2) ? 0 : random.int(7000, 7019);
      const to = from === 0 ? 0 : random.int(from, 7019);
      const not = new Set(random.chance(0.3) ? [random.int(7000, 7019)] : []);
      try {
        const port = table.reserve(owner, { from, to }, HOST, not);
        if (owned.has(port)) throw new Error(`${port} has two owners`);
        if (not.has(port)) throw new Error(`${port} was to be left out`);
        if (from > 0 && busy.has(port)) throw new Error(`${port} is in use`);
        owned.set(port, owner);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        for (let port = from; from > 0 && port <= to; port++) {
          const passed = owned.has(port) || busy.has(port) || not.has(port);
          if (!passed) throw new Error(`${port} was free`);
        }
      }
      for (const [port, name] of owned) assertEquals(table.ownerOf(port), name);
    }
  }));
