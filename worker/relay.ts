/**
 * The way to the supervisor: standard input and output, or a socket, as `RR_RELAY` says.
 *
 * Invariant: frames come out whole and in order, and go in with one write each; reading stops while
 * nobody takes what was read.
 */

import { connect, type Socket } from "node:net";
import process from "node:process";
import { decodeHeader, decodeOptions, FIXED, type Frame, NoFrame } from "./frame.ts";
import { type Send, sendThrough, takeStdout } from "./stdout.ts";

/** What Deno has beside `process`; absent on Node. */
interface DenoInput {
  stdin: { read(into: Uint8Array): Promise<number | null> };
}

/** Bytes that are read into one after the other. */
const SLAB = 65_536;
/** Bytes that a read asks for at least. */
const LEAST = 4096;

const PIPES = "pipes";
const TCP = /^tcp:\/\/(.+):(\d+)$/;
const UNIX = /^unix:\/\/(.+)$/;

/** What `RR_RELAY` says; `pipes` when it says nothing. */
export function relayName(): string {
  return process.env.RR_RELAY || PIPES;
}

/** True when frames go by standard input and output. */
export function isPipes(name: string): boolean {
  return name === PIPES || name.startsWith(`${PIPES}://`);
}

/**
 * Opens the way to the supervisor.
 *
 * @throws Error when the name is none, nobody listens there, or this is no worker of a supervisor
 */
export async function openRelay(name: string): Promise<Relay> {
  if (isPipes(name)) {
    if (process.stdin.isTTY) {
      throw new Error(
        "this program is a worker: it takes its requests from a supervisor, not from a terminal",
      );
    }
    const { Deno } = globalThis as unknown as { Deno?: DenoInput };
    return new Relay(Deno === undefined ? process.stdin : new DenoChunks(Deno), takeStdout());
  }
  const socket = await connected(name);
  return new Relay(socket, sendThrough(socket));
}

function connected(name: string): Promise<Socket> {
  const tcp = TCP.exec(name);
  const unix = UNIX.exec(name);
  if (tcp === null && unix === null) {
    const known = "pipes, tcp://host:port and unix://path";
    throw new Error(`RR_RELAY="${name}" is no relay; there are ${known}`);
  }
  return new Promise((resolve, reject) => {
    const socket = tcp === null
      ? connect({ path: unix![1] })
      : connect({ host: tcp[1], port: Number(tcp[2]), noDelay: true });
    const refused = (error: Error) =>
      reject(new Error(`cannot reach the supervisor at RR_RELAY="${name}": ${error.message}`));
    socket.once("error", refused);
    socket.once("connect", () => {
      socket.off("error", refused);
      resolve(socket);
    });
  });
}

/**
 * Standard input by Deno's own reads: Node's streams over them cost more than all else of a small
 * request.
 */
class DenoChunks implements AsyncIterable<Uint8Array>, AsyncIterator<Uint8Array> {
  readonly #stdin: DenoInput["stdin"];
  /** What nobody has got yet of the last slab: whoever has a chunk may keep it. */
  #space = new Uint8Array(0);

  constructor({ stdin }: DenoInput) {
    this.#stdin = stdin;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#space.length < LEAST) this.#space = new Uint8Array(SLAB);
    const count = await this.#stdin.read(this.#space);
    if (count === null) return { value: undefined, done: true };
    const value = this.#space.subarray(0, count);
    this.#space = this.#space.subarray(count);
    return { value, done: false };
  }
}

/** Frames from the supervisor and to it. One sender and one receiver at a time. */
export class Relay {
  /** Sends a frame whole. @throws Error (as rejection) when the supervisor is gone */
  readonly send: Send;
  readonly #chunks: AsyncIterator<Uint8Array>;
  /** Read, but not yet taken. */
  #held: Uint8Array = new Uint8Array(0);

  constructor(input: AsyncIterable<Uint8Array>, send: Send) {
    this.send = send;
    this.#chunks = input[Symbol.asyncIterator]();
  }

  /** The next frame; undefined when the supervisor closed. @throws NoFrame */
  async receive(): Promise<Frame | undefined> {
    const fixed = await this.#take(FIXED);
    if (fixed === undefined) return undefined;
    const header = decodeHeader(fixed);
    const options = header.options === 0 ? [] : decodeOptions(await this.#rest(header.options));
    const payload = await this.#rest(header.payload);
    return { flags: header.flags, bits: header.bits, options, payload };
  }

  async #rest(length: number): Promise<Uint8Array> {
    const bytes = await this.#take(length);
    if (bytes === undefined) throw new NoFrame("the supervisor closed inside a frame");
    return bytes;
  }

  /** So many bytes; undefined when nothing came any more. @throws NoFrame when only some came */
  async #take(length: number): Promise<Uint8Array | undefined> {
    if (this.#held.length < length) {
      const chunks = [this.#held];
      let have = this.#held.length;
      while (have < length) {
        const { value, done } = await this.#chunks.next();
        if (done) {
          if (have === 0) return undefined;
          throw new NoFrame("the supervisor closed inside a frame");
        }
        chunks.push(value);
        have += value.length;
      }
      this.#held = joined(chunks, have);
    }
    const bytes = this.#held.subarray(0, length);
    this.#held = this.#held.subarray(length);
    return bytes;
  }
}

/** One array of all; the only one of them as it is. */
function joined(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const [first, ...others] = chunks.filter((chunk) => chunk.length > 0);
  if (others.length === 0) return first;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of [first, ...others]) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
