/** What tests of every driver at a broker do. */

import { assertEquals } from "@std/assert";
import type { Driver, DriverState, Job } from "../../../plugins/jobs/driver.ts";
import { jobOf, takeAll } from "../../unit/plugins/jobs/conformance/kit.ts";
import { soon, until } from "../wait.ts";
import type { BrokerServer } from "./server.ts";

/** Numbers of an empty pipeline. */
export const NONE = { waiting: 0, delayed: 0, reserved: 0, dead: 0 };

/** So many ids. */
export function ids(count: number, prefix = "j"): string[] {
  return Array.from({ length: count }, (_, i) => prefix + i);
}

/** Jobs of these ids. */
export function jobs(names: readonly string[]): Job[] {
  return names.map((id) => jobOf({ id }));
}

/** Resolves when it is connected. */
export async function ready(driver: Driver, limit?: number): Promise<void> {
  await until("it is connected", () => driver.state.state === "ready", limit);
}

/** Resolves when it is not, and says why. */
export function down(
  driver: Driver,
): Promise<Extract<DriverState, { state: "connecting" }> & { error: string }> {
  return until("it says why", () => {
    const { state } = driver;
    return state.state === "connecting" && state.error !== undefined &&
      { ...state, error: state.error };
  });
}

/** Takes and acknowledges so many. @returns their ids */
export async function drain(driver: Driver, count: number): Promise<string[]> {
  const taken = await soon("the rest", takeAll(driver, count));
  await Promise.all(taken.map((one) => driver.settle(one, { kind: "ack" })));
  return taken.map(({ id }) => id);
}

/** The server is killed in the middle of `count` pushes: what was confirmed comes. */
export async function confirmedStays(
  server: BrokerServer,
  driver: Driver,
  count: number,
): Promise<void> {
  const confirmed: string[] = [];
  const push = async (id: string) => {
    await driver.push(jobs([id]), AbortSignal.timeout(15_000));
    confirmed.push(id);
  };
  const before = ids(count, "b").map((id) => push(id).catch(() => {})); // there or not
  await until("some are there", () => confirmed.length > 0);
  await server.kill();
  await server.start();
  await Promise.all(before);
  await push("after");
  const seen = new Set<string>();
  while (!confirmed.every((id) => seen.has(id))) {
    const some = await soon("jobs", driver.take(1000, new AbortController().signal));
    for (const { id } of some) seen.add(id);
    await Promise.all(some.map((one) => driver.settle(one, { kind: "ack" })));
  }
}

/** A job that takes longer than its broker waits for is given to nobody else; `hold`: that long. */
export async function staysOurs(
  one: Driver,
  other: Driver,
  hold: () => Promise<void>,
): Promise<void> {
  await one.push(jobs(["long"]));
  const [long] = await takeAll(one, 1);
  const enough = new AbortController();
  const stolen = other.take(1, enough.signal).then((got) => got.map(({ id }) => id), () => []);
  await hold();
  enough.abort();
  assertEquals(await stolen, []);
  await one.settle(long, { kind: "ack" });
}
