/**
 * The loop that takes in what comes, for everything that listens.
 *
 * Invariant: a failing accept never ends it while it is open; it is told, and tried again after a
 * pause.
 */

import { type Clock, sleep } from "./clock.ts";

/** Pause after a failed accept (no descriptors left is the usual reason), milliseconds. */
const PAUSE = 100;

/** What accepts, and for whom. */
export interface Accepting<C> {
  readonly clock: Clock;
  /** Whether it still listens; asked before each accept, and after one that failed. */
  open(): boolean;
  next(): Promise<C>;
  /** Takes one in. What it throws counts as a failed accept. */
  take(accepted: C): void;
  failed(error: unknown): void;
}

/** Resolves when it is open no more. Never rejects. */
export async function acceptAll<C>(on: Accepting<C>): Promise<void> {
  while (on.open()) {
    try {
      on.take(await on.next());
    } catch (error) {
      if (!on.open()) return;
      on.failed(error);
      await sleep(on.clock, PAUSE);
    }
  }
}
