/**
 * Where workers with a socket relay connect: one listener per DSN for the whole daemon.
 *
 * Invariant: handshakes run side by side, each with its own deadline; a connection that says nothing,
 * or lies about its pid, costs only itself.
 */

import type { Relay } from "./relay.ts";

/** A worker that is waited for. */
export interface Expected {
  /** True for the pid the worker may report: its own, or one of its group (wrappers). */
  isIt(pid: number): boolean;
  /** Ends the waiting; expect() rejects with its reason. */
  signal: AbortSignal;
}

/** Who may connect to a Unix relay socket (mode 0600). */
export interface DoorOwner {
  uid: number;
  gid: number;
}

/** The listeners. */
export interface RelayDoors {
  /**
   * Opens the listener of a DSN, or shares the open one; a Unix socket belongs to the owner who came
   * last. Hand it back with close().
   * @throws Failure when it cannot be opened (address in use, bad DSN, no permission)
   */
  open(dsn: string, owner: DoorOwner | undefined): Promise<RelayDoor>;
}

/** One user of a listener. */
export interface RelayDoor {
  /** As workers shall use it in RR_RELAY (with the real port when 0 was asked for). */
  readonly dsn: string;
  /**
   * The relay of a worker once it has connected and shaken hands. To be asked in the turn in which the
   * worker was started: whoever is not waited for is sent away.
   */
  expect(worker: Expected): Promise<Relay>;
  close(): void;
}
