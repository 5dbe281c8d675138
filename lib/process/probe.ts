/**
 * Proof that a started program works: something answers on its port, well, and it is this program.
 *
 * One attempt: connect; see who listens; ask (kind http). Between attempts a wait that begins short
 * and doubles up to `interval`, so that a fast program is not made slow by a long interval.
 *
 * Invariants: ends within start_delay + timeout (the first attempt is always made); the caller's
 * abort (the program died) ends it at once; an answer by another program never counts, and is a
 * verdict of its own as soon as it is certain.
 */

import { sleep } from "../core/clock.ts";
import { formatDuration } from "../core/duration.ts";
import type { System } from "../os/system.ts";
import { ask, dial, hangUp } from "./dial.ts";
import { describeOwner, ownerOf } from "./listening.ts";
import type { ProbeSpec } from "./types.ts";

/** The wait after the first attempt; doubled after each up to the interval. */
const FIRST_PAUSE = 10;
/**
 * A stranger is looked at again after this long: a worker forked an instant ago may not yet be known
 * as one of the group.
 */
const SECOND_LOOK = 50;

/** A probe that asks something. */
export type ActiveProbe = Exclude<ProbeSpec, { kind: "none" }>;

/** What a probe found. */
export type Verdict =
  | { proven: true }
  | { proven: false; reason: string; port_taken: boolean };

/** What one attempt found: good, bad, or somebody else's. */
type Attempt = { good: true } | { good: false; reason: string; stranger?: string };

/**
 * Probes until the program is proven, or cannot be.
 *
 * @param leader pid of the program
 * @throws the signal's reason
 */
export async function prove(
  system: System,
  leader: number,
  probe: ActiveProbe,
  signal: AbortSignal,
): Promise<Verdict> {
  const { clock } = system;
  if (probe.start_delay > 0) await sleep(clock, probe.start_delay, signal);
  const deadline = clock.now() + probe.timeout;
  let last: string | undefined;
  for (let pause = FIRST_PAUSE;; pause *= 2) {
    const limit = Math.min(probe.attempt_timeout, deadline - clock.now());
    const attempt = await attemptOnce(system, leader, probe, limit, signal);
    if (attempt.good) return { proven: true };
    if (attempt.stranger !== undefined) return taken(probe, attempt.stranger);
    const left = deadline - clock.now();
    // An attempt that our own deadline cut short says less than the one before.
    if (last === undefined || left > 0) last = attempt.reason;
    await sleep(clock, Math.max(0, Math.min(pause, probe.interval, left)), signal);
    if (clock.now() >= deadline) return unproven(probe, last);
  }
}

/** What a probe wants, for people: `GET http://127.0.0.1:18182/ping`. */
export function describeProbe(probe: ActiveProbe): string {
  const host = probe.host.includes(":") ? `[${probe.host}]` : probe.host;
  if (probe.kind === "tcp") return `a connection to ${host}:${probe.port}`;
  return `GET http://${host}:${probe.port}${probe.path}`;
}

async function attemptOnce(
  system: System,
  leader: number,
  probe: ActiveProbe,
  ms: number,
  signal: AbortSignal,
): Promise<Attempt> {
  const { clock } = system;
  const deadline = clock.now() + ms;
  const dialled = await dial(clock, probe, ms, signal);
  if ("reason" in dialled) return { good: false, reason: dialled.reason };
  try {
    const stranger = await strangerOn(system, leader, probe, signal);
    if (stranger !== undefined) return { good: false, reason: "", stranger };
    if (probe.kind === "tcp") return { good: true };
    const left = Math.max(1, deadline - clock.now());
    return await ask(clock, dialled.conn, probe, left, signal);
  } finally {
    hangUp(dialled.conn);
  }
}

/** Who listens there instead of the program; undefined: the program, or it cannot be told. */
async function strangerOn(
  system: System,
  leader: number,
  address: { host: string; port: number },
  signal: AbortSignal,
): Promise<string | undefined> {
  if (ownerOf(system, leader, address).who !== "stranger") return undefined;
  await sleep(system.clock, SECOND_LOOK, signal);
  const owner = ownerOf(system, leader, address);
  return owner.who === "stranger" ? describeOwner(owner) : undefined;
}

function taken(probe: ActiveProbe, stranger: string): Verdict {
  const reason = `port ${probe.port} is listened on by ${stranger}, which is not this program`;
  return { proven: false, reason, port_taken: true };
}

function unproven(probe: ActiveProbe, last: string): Verdict {
  const time = formatDuration(probe.timeout);
  const reason = `${describeProbe(probe)} did not succeed within ${time}; last: ${last}`;
  return { proven: false, reason, port_taken: false };
}
