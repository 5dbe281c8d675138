/**
 * Keys of unique jobs: for each window a stream that remembers ids of messages for just that long.
 *
 * A key is stored there first; its place, the same for everybody who brings the key within the window,
 * becomes the id of the job's message. So whoever stored the key and went before the job was stored
 * blocks nobody, and the job is stored once.
 *
 * Invariant: the stream of jobs remembers ids at least as long as any window that was asked for.
 */

import { headers as newHeaders } from "@nats-io/transport-node";
import { makeStream, NANO, streamInfo, updateStream, wasStored } from "./api.ts";
import { MSG_ID } from "./codec.ts";
import type { NatsConnection } from "./connection.ts";
import { keyStream, type Places } from "./names.ts";

/** Servers take no shorter one. */
const MIN_WINDOW = 100;
const NOTHING = new Uint8Array(0);

/** A key, and how long it counts in milliseconds. */
export interface Key {
  readonly key: string;
  readonly window: number;
}

/** See the file's comment. */
export class Keys {
  readonly #connection: NatsConnection;
  readonly #places: Places;
  /** What the stream of jobs remembers, nanoseconds. */
  #longest: number;
  /** Streams that are there, by window. */
  readonly #streams = new Map<number, Promise<string>>();

  constructor(connection: NatsConnection, places: Places, longest: number) {
    this.#connection = connection;
    this.#places = places;
    this.#longest = longest;
  }

  /** The id of the message of a job with that key. @throws Refused, Lost */
  async idOf({ key, window }: Key): Promise<string> {
    const ms = Math.max(window, MIN_WINDOW);
    const stream = await this.#stream(ms);
    const headers = newHeaders();
    // Any text is a key; not any is a header.
    headers.set(MSG_ID, encodeURIComponent(key) || "%");
    const answer = await this.#connection.ask({ subject: stream, data: NOTHING, headers });
    wasStored(answer, stream);
    return `unique ${ms} ${answer.json<{ seq: number }>().seq}`;
  }

  #stream(ms: number): Promise<string> {
    let stream = this.#streams.get(ms);
    if (stream === undefined) {
      stream = this.#make(ms);
      stream.catch(() => this.#streams.delete(ms));
      this.#streams.set(ms, stream);
    }
    return stream;
  }

  async #make(ms: number): Promise<string> {
    const name = keyStream(this.#places, ms);
    const window = ms * NANO;
    const connection = this.#connection;
    if (window > this.#longest) {
      const info = await streamInfo(connection, this.#places.stream);
      if (info !== undefined && info.config.duplicate_window < window) {
        await updateStream(connection, { ...info.config, duplicate_window: window });
      }
      this.#longest = window;
    }
    const subjects = [name];
    const lives = { max_age: window, duplicate_window: window, storage: "file" };
    if (await streamInfo(connection, name) === undefined) {
      await makeStream(connection, { name, subjects, retention: "limits", ...lives });
    }
    return name;
  }
}
