/**
 * What a front is: it owns a listening address and the client connections, and turns them into
 * exchanges. Two implementations, one conformance suite: `front_raw` (our own HTTP/1.1) and
 * `front_serve` (Deno.serve).
 *
 * Invariant: after `drain()` or `cut()` resolved, no client connection is open and the address is
 * free.
 */

import type { Clock } from "../core/clock.ts";
import type { Emit } from "../telemetry/events.ts";

/** Limits of a front; 0 means none everywhere. */
export interface FrontOptions {
  /** Milliseconds: a whole head; silence between requests or inside a body; a blocked write. */
  timeouts: { header: number; idle: number; send: number };
  /** Bytes of a head, number of fields, bytes of a body. */
  limits: { header_bytes: number; headers: number; body: number };
}

/** What a front needs of the outside. */
export interface FrontHost {
  clock: Clock;
  emit: Emit;
}

/** The stable side of HTTP. */
export interface Front {
  /** Where it listens, for people and for X-Forwarded-Port. */
  readonly address: { hostname: string; port: number; path?: string };
  /** Client connections open now. */
  readonly connections: number;
  /** Requests being answered now. */
  readonly requests: number;
  /** Requests since the start. */
  readonly served: number;
  /** Other limits, from the next request on. */
  configure(options: FrontOptions): void;
  /**
   * Takes no more connections, answers with `Connection: close`, gives idle connections one second
   * and everything else `ms` milliseconds. @returns how many connections were cut at the end
   */
  drain(ms: number): Promise<{ cut: number }>;
  /** Ends everything now. */
  cut(): void;
  /** Resolves when the listener and the last connection are closed. */
  readonly closed: Promise<void>;
}

/** Where a front listens: a bound listener (the front owns it from now on), or an address to bind. */
export type Place =
  | Deno.Listener
  | { hostname: string; port: number; tls?: TlsPair }
  | { path: string };

/** Certificate chain and private key, as PEM text. */
export interface TlsPair {
  cert: string;
  key: string;
}

/** Which front: our own HTTP/1.1, or Deno.serve (see docs/proxy.md for what that one cannot do). */
export type FrontKind = "raw" | "serve";
