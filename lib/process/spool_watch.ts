/**
 * Notices that spools have grown: by notification while little is printed, by looking at all of them
 * every few milliseconds while much is.
 *
 * A notification costs more than a look, and a program that prints a hundred thousand lines a second
 * causes as many notifications; two such programs would keep the daemon busy with nothing else. So a
 * burst of notifications turns them off until it is quiet again, as network drivers do.
 *
 * | state    | entered by                        | what happens                    | leaves when                    |
 * | -------- | --------------------------------- | ------------------------------- | ------------------------------ |
 * | watching | start; SWEEPS_QUIET quiet sweeps  | each notification wakes one     | more than BURST in BURST_TIME  |
 * | sweeping | a burst; no watch to be had       | a look at all every SWEEP_EVERY | quiet, and the watch stands    |
 *
 * Invariant: no growth stays unnoticed: after every change of state all spools are looked at once
 * more, and so they are when the system has lost track.
 */

import type { Clock, Timer } from "../core/clock.ts";
import { messageOf } from "../core/failure.ts";

/** Notifications in BURST_TIME milliseconds that are too many. */
const BURST = 20;
const BURST_TIME = 200;
/** Milliseconds between two looks. */
const SWEEP_EVERY = 40;
/** Looks without news after which it is quiet. */
const SWEEPS_QUIET = 10;

/** The system's side: tells names in a directory that have changed, "" when it does not know which. */
export interface DirectoryWatcher {
  (directory: string, onChange: (name: string) => void): { mode?: string; close(): void };
}

/** The other side. */
export interface SpoolWatchEvents {
  /** This file has changed. */
  onName(name: string): void;
  /** Look at all. @returns whether anything has changed */
  sweep(): boolean;
  /** Notification is not to be had (told once until it is again). */
  onTrouble(error: string): void;
}

/** See the file's comment. */
export class SpoolWatch {
  #watch: { mode?: string; close(): void } | undefined;
  #timer: Timer | undefined;
  #burst = 0;
  #burstSince = 0;
  #quiet = 0;
  #troubled = false;
  #closed = false;

  constructor(
    private readonly directory: string,
    private readonly watcher: DirectoryWatcher,
    private readonly clock: Clock,
    private readonly events: SpoolWatchEvents,
  ) {
    this.#listen();
  }

  /** Nothing is noticed any more. */
  close(): void {
    this.#closed = true;
    this.#watch?.close();
    this.#timer?.cancel();
  }

  #listen(): void {
    try {
      this.#watch = this.watcher(this.directory, (name) => this.#onChange(name));
      if (this.#watch.mode === "polling") this.#complain("the system grants no notifications");
      else this.#troubled = false;
      this.#burst = 0;
      this.events.sweep();
    } catch (error) {
      this.#complain(messageOf(error));
      this.#sweepSoon();
    }
  }

  #onChange(name: string): void {
    if (this.#closed || this.#watch === undefined) return;
    if (name === "") this.events.sweep();
    else this.events.onName(name);
    const now = this.clock.now();
    if (now - this.#burstSince > BURST_TIME) {
      this.#burstSince = now;
      this.#burst = 0;
    }
    if (++this.#burst > BURST) this.#sweepInstead();
  }

  #sweepInstead(): void {
    this.#watch?.close();
    this.#watch = undefined;
    this.#sweepSoon();
  }

  #sweepSoon(): void {
    this.#quiet = 0;
    this.#timer = this.clock.timer(SWEEP_EVERY, () => this.#sweep());
  }

  #sweep(): void {
    this.#quiet = this.events.sweep() ? 0 : this.#quiet + 1;
    if (this.#quiet >= SWEEPS_QUIET) this.#listen();
    else this.#timer = this.clock.timer(SWEEP_EVERY, () => this.#sweep());
  }

  #complain(error: string): void {
    if (!this.#troubled) this.events.onTrouble(error);
    this.#troubled = true;
  }
}
