/**
 * The contract between a front (which speaks HTTP with clients) and a handler (which answers): one
 * exchange is one request and its answer.
 *
 * Invariant: framing and connection persistence belong to the front alone. A handler gives status,
 * end-to-end fields and a body; it never writes `Connection`, `Transfer-Encoding` or chunk sizes, so
 * no handler can desynchronise a connection. Nothing here throws out of a front: a handler that
 * throws or never answers costs its own exchange only.
 */

import type { Fields } from "./fields.ts";
import type { RequestHead } from "./head.ts";
import type { ResponseHead } from "./response_head.ts";

/** Bytes a front or an upstream keeps free before and after each window, for chunk framing. */
export const WINDOW_ROOM = 16;

/**
 * A message body as a source that is pulled, one window of bytes at a time: nobody reads ahead of
 * the receiver, which is the whole of back-pressure.
 *
 * Windows lie in the source's own buffer and are valid until the next pull. `WINDOW_ROOM` bytes
 * before `start` and after `end` may be overwritten by the receiver.
 */
export interface Body {
  /** Bytes in all; -1: not known before the end. 0: no body. */
  readonly length: number;
  /** The buffer the current window lies in. */
  readonly bytes: Uint8Array;
  /** The current window; empty before the first pull. */
  readonly start: number;
  readonly end: number;
  /** True once the current window is known to be the last one. */
  readonly done: boolean;
  /** Fields after a chunked body; set when the end was reached. */
  readonly trailers: Fields | undefined;
  /**
   * Gives up the current window and makes the next one.
   * @returns false at the end of the body
   * @throws BodyBroken when the sender left or broke the rules
   */
  pull(): boolean | Promise<boolean>;
}

/** The sender of a body left before its end or broke the framing rules. */
export class BodyBroken extends Error {
  override readonly name = "BodyBroken";

  /** `status`: what to answer the sender with, if an answer can still be given. */
  constructor(message: string, readonly status: number = 400) {
    super(message);
  }
}

/** The peer of a connection, one object per connection (usable as a cache key). */
export interface ClientAddress {
  /** Without brackets; empty for Unix sockets. */
  readonly address: string;
  readonly port: number;
}

/** A connection that left HTTP: raw bytes both ways. */
export interface ByteTunnel {
  /**
   * Bytes into `into`. @returns how many; 0: the peer sends no more; -1: the connection broke.
   */
  read(into: Uint8Array): Promise<number>;
  /** Sends all of `bytes[start, end)`. @returns false when the connection broke. */
  write(bytes: Uint8Array, start: number, end: number): Promise<boolean>;
  /** Sends end-of-stream, keeps reading. */
  closeWrite(): Promise<void>;
  /** Ends both directions now; further calls do nothing. */
  close(): void;
}

/** One request being answered. Fronts make them, handlers answer them. */
export interface Exchange {
  readonly method: string;
  /** As sent; of an absolute-form target only path and query. */
  readonly target: string;
  readonly head: RequestHead;
  readonly client: ClientAddress;
  readonly tls: boolean;
  readonly body: Body;
  /** False: this front (or this request) cannot become a byte tunnel. */
  readonly upgradable: boolean;
  /** True once the client left before the whole answer was sent. */
  readonly gone: boolean;
  /** Called once when that happens. Set it before the first await. */
  onGone: (() => void) | undefined;
  /** True once `respond` or `upgrade` was called. */
  readonly answered: boolean;
  /** Sends an interim answer (1xx but not 101); nothing where the client cannot take one. */
  interim(head: ResponseHead): Promise<void>;
  /**
   * Sends the answer; at most once. Resolves when all of it was sent or the client left.
   *
   * @param close true: the client shall not use the connection again
   * @throws BodyBroken from `body`; the client's connection is cut then (never a clean end)
   */
  respond(head: ResponseHead, body: Body, close?: boolean): Promise<void>;
  /** Sends a 101 and hands the connection over; undefined when the client left. */
  upgrade(head: ResponseHead): Promise<ByteTunnel | undefined>;
  /** Ends the client's connection now, without a clean end of the answer. */
  cut(): void;
}

/** Answers an exchange. The exchange ends when it returns (or its promise settles). */
export type Handler = (exchange: Exchange) => void | Promise<void>;
