/**
 * The daemon-wide port table: which port belongs to which process copy.
 *
 * Invariant: a port is handed to one owner at a time, from its reservation until it is given back
 * when the owner's whole group is gone; reserve() never hands one out while anything listens on it.
 */

import { Failure } from "../core/failure.ts";
import type { PortRange } from "../config/config.ts";
import type { PortState } from "../os/system.ts";

/** Tries for a port that the system chooses; it never repeats itself this often unless nothing is free. */
const EPHEMERAL_TRIES = 64;

/** Whether a listener could be bound now (lib/os answers this). */
export type PortProbe = (host: string, port: number) => PortState;

/** A free port the system chooses. */
export type EphemeralPort = (host: string) => number;

/** Reservations of one daemon. */
export class PortTable {
  readonly #owners = new Map<number, string>();

  constructor(readonly probe: PortProbe, readonly ephemeral: EphemeralPort) {}

  /** Who holds a port, for messages. */
  ownerOf(port: number): string | undefined {
    return this.#owners.get(port);
  }

  /**
   * Reserves the first usable port of `range` on `host` for `owner`.
   *
   * @param not ports to leave out, e.g. those a stranger took in an earlier try
   * @throws Failure with the range and why each port was passed over
   */
  reserve(owner: string, range: PortRange, host: string, not: ReadonlySet<number>): number {
    if (range.from === 0) return this.#reserveAny(owner, host, not);
    let reserved = 0;
    let inUse = 0;
    let refused = 0;
    let sample = "";
    for (let port = range.from; port <= range.to; port++) {
      if (this.#owners.has(port)) {
        reserved++;
        continue;
      }
      const verdict = not.has(port) ? "in_use" : this.probe(host, port);
      if (verdict === "free") {
        this.#owners.set(port, owner);
        return port;
      }
      if (verdict === "in_use") inUse++;
      else {
        refused++;
        sample = verdict.refused;
      }
    }
    throw noneFree(owner, range, host, { reserved, inUse, refused, sample }, this.#owners);
  }

  /**
   * Reserves one port whoever listens on it now: for a process that can have no other and has to find
   * out by itself. False: it is reserved already.
   */
  take(owner: string, port: number): boolean {
    if (this.#owners.has(port)) return false;
    this.#owners.set(port, owner);
    return true;
  }

  /** Gives a port back. */
  release(port: number): void {
    this.#owners.delete(port);
  }

  #reserveAny(owner: string, host: string, not: ReadonlySet<number>): number {
    for (let tries = 0; tries < EPHEMERAL_TRIES; tries++) {
      const port = this.ephemeral(host);
      if (this.#owners.has(port) || not.has(port)) continue;
      this.#owners.set(port, owner);
      return port;
    }
    throw new Failure(`no free port could be had from the system for "${owner}" on ${host}`, {
      fix: "give the process a port range in the configuration",
    });
  }
}

function noneFree(
  owner: string,
  range: PortRange,
  host: string,
  counts: { reserved: number; inUse: number; refused: number; sample: string },
  owners: ReadonlyMap<number, string>,
): Failure {
  if (range.from === range.to) {
    const holder = owners.get(range.from);
    return new Failure(
      `port ${range.from} of "${owner}" is ${
        holder === undefined
          ? counts.refused > 0 ? `not to be had (${counts.sample})` : "in use by another program"
          : `still held by ${holder}`
      }`,
      {
        fix: holder === undefined
          ? `free port ${range.from} or choose another`
          : "give a range, such as " +
            `${range.from}-${range.from + 99}, so that two releases can overlap`,
        detail: { port: range.from, host },
      },
    );
  }
  const total = range.to - range.from + 1;
  const reasons = [
    `${counts.reserved} reserved by running releases`,
    `${counts.inUse} in use by other programs`,
    ...(counts.refused > 0 ? [`${counts.refused} could not be bound (${counts.sample})`] : []),
  ];
  return new Failure(
    `no port of ${range.from}-${range.to} (${total} ports) is free on ${host} for "${owner}": ${
      reasons.join(", ")
    }`,
    {
      fix: "widen the range, or wait until the draining releases are stopped",
      detail: { ...counts },
    },
  );
}
