/** A server with methods of a test's own, and clients that speak frames byte by byte. */

import { Failure } from "../../../lib/core/failure.ts";
import { FrameDecoder } from "../../../lib/goridge/decoder.ts";
import { encode } from "../../../lib/goridge/frame.ts";
import type { Frame } from "../../../lib/goridge/relay.ts";
import { RpcError, type RpcTable } from "../../../lib/goridge/rpc.ts";
import { openRpc, type RpcOptions, type RpcServer } from "../../../lib/goridge/rpc_server.ts";
import { realClock } from "../../../lib/os/clock.ts";
import type { Emit } from "../../../lib/telemetry/events.ts";

export const PROTO = 0x80;
export const JSON_CODEC = 0x08;
export const ERROR = 0x40;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Bytes of a hex dump. */
export function hex(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromHex(text.replace(/\s+/g, ""));
}

/** `rpc.Version` of the reference's dumps, and what the tests need. */
export const table: RpcTable = {
  "rpc.Version": () => ({ json: "1.0.0" }),
  "jobs.List": () => ({ bytes: hex("0a 04 74 65 73 74") }),
  "jobs.Push": () => ({ bytes: new Uint8Array(0) }),
  "echo.Json": (call) => ({ json: call.json() }),
  "echo.Bytes": (call) => ({ bytes: call.bytes }),
  "echo.Big": () => ({ json: { created: 1700000000000000001n, "CPUPercent": 0.5 } }),
  "fail.Rpc": () => {
    throw new RpcError("undefined collector: x");
  },
  "fail.Failure": () => {
    throw new Failure("cannot do it", { fix: "do it otherwise" });
  },
  "fail.Bug": () => Promise.reject(new TypeError("x is not a function")),
};

/** Events, as lines `name {facts}`. */
export function recorder(): { emit: Emit; lines: string[] } {
  const lines: string[] = [];
  return { lines, emit: (name, data) => void lines.push(`${name} ${JSON.stringify(data)}`) };
}

/** A server on a free port. */
export function serve(table: RpcTable, more: Partial<RpcOptions> = {}): Promise<RpcServer> {
  return openRpc({
    listen: "tcp://127.0.0.1:0",
    owner: undefined,
    table,
    emit: () => {},
    clock: realClock,
    ...more,
  });
}

/** The bytes of a request. */
export function request(
  method: string,
  argument: string | Uint8Array,
  seq: number,
  flags = JSON_CODEC,
): Uint8Array<ArrayBuffer> {
  const name = encoder.encode(method);
  const bytes = typeof argument === "string" ? encoder.encode(argument) : argument;
  return encode({ flags, options: [seq, name.length], parts: [name, bytes] });
}

/** A reply, taken apart. */
export interface Reply {
  flags: number;
  seq: number;
  method: string;
  bytes: Uint8Array;
  text: string;
}

/** A client: a socket, and frames out of it. */
export class Client implements Disposable {
  readonly conn: Deno.Conn;
  readonly #decoder = new FrameDecoder();

  constructor(conn: Deno.Conn) {
    this.conn = conn;
  }

  /** Connects to a DSN. */
  static async to(dsn: string): Promise<Client> {
    if (dsn.startsWith("unix://")) {
      return new Client(await Deno.connect({ transport: "unix", path: dsn.slice(7) }));
    }
    const { hostname, port } = new URL(dsn.replace("tcp:", "http:"));
    return new Client(await Deno.connect({ hostname, port: Number(port) }));
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.conn.write(bytes.subarray(at));
  }

  /** The next reply; undefined: the server closed. */
  async reply(): Promise<Reply | undefined> {
    const frame = await this.#frame();
    if (frame === undefined) return undefined;
    const [seq, length] = frame.options;
    const bytes = frame.payload.slice(length);
    const method = decoder.decode(frame.payload.subarray(0, length));
    return { flags: frame.flags, seq, method, bytes, text: decoder.decode(bytes) };
  }

  /** Exactly `count` bytes. */
  async bytes(count: number): Promise<Uint8Array> {
    const all = new Uint8Array(count);
    for (let at = 0; at < count;) {
      const read = await this.conn.read(all.subarray(at));
      if (read === null) throw new Error(`the server closed after ${at} bytes`);
      at += read;
    }
    return all;
  }

  /** Sends one request and takes one reply. */
  async call(method: string, argument: string | Uint8Array, flags = JSON_CODEC): Promise<Reply> {
    await this.write(request(method, argument, 1, flags));
    const reply = await this.reply();
    if (reply === undefined) throw new Error("the server closed");
    return reply;
  }

  [Symbol.dispose](): void {
    this.conn.close();
  }

  async #frame(): Promise<Frame | undefined> {
    for (;;) {
      const frame = this.#decoder.next();
      if (frame !== undefined) return frame;
      const space = this.#decoder.space();
      // A reset is an end too: the server closes with unread bytes behind it.
      const count = await this.conn.read(space).catch(() => null);
      if (count === null) return undefined;
      this.#decoder.filled(space.subarray(0, count));
    }
  }
}
