/**
 * HTTP/1.1 spoken byte by byte: a raw peer for both ends of a connection, so that tests can send
 * what no client sends and see what no client shows.
 *
 * Invariant: text is Latin-1, one character per byte; a peer remembers what it read and did not use,
 * and says how the connection ended (`end`: FIN, `reset`: RST).
 */

import { soon } from "./wait.ts";

/** Longest wait for something that should come at once, milliseconds. */
const LIMIT = 10_000;

/** An answer (or request) as it stood on the wire. */
export interface RawMessage {
  /** First line. */
  line: string;
  /** Status of an answer. */
  status: number;
  /** Names and values in their order and case. */
  fields: [string, string][];
  body: string;
  trailers: [string, string][];
  /** First value of a field, any letter case. */
  get(name: string): string | undefined;
}

/** One end of a TCP connection. */
export class RawPeer implements Disposable {
  #unread = "";
  #ended: "end" | "reset" | undefined;

  constructor(readonly conn: Deno.Conn) {}

  /** A client connected to a port of this machine. */
  static async connect(port: number, hostname = "127.0.0.1"): Promise<RawPeer> {
    const conn = await Deno.connect({ port, hostname });
    conn.setNoDelay(true);
    return new RawPeer(conn);
  }

  /** Sends all of it. @throws when the other side is gone */
  async send(text: string | Uint8Array): Promise<void> {
    const bytes = typeof text === "string" ? bytesOf(text) : text;
    for (let at = 0; at < bytes.length;) at += await this.conn.write(bytes.subarray(at));
  }

  /** Sends a request line and fields, with the empty line. */
  request(line: string, ...fields: string[]): Promise<void> {
    return this.send([line, ...fields, "", ""].join("\r\n"));
  }

  /** Text up to and with `mark`. @throws when the connection ends first */
  async until(mark: string): Promise<string> {
    for (;;) {
      const at = this.#unread.indexOf(mark);
      if (at >= 0) return this.#take(at + mark.length);
      if (!await this.#more()) {
        throw new Error(`ended before ${JSON.stringify(mark)}: ${this.#unread}`);
      }
    }
  }

  /** Exactly `count` bytes. */
  async bytes(count: number): Promise<string> {
    while (this.#unread.length < count) {
      if (!await this.#more()) {
        throw new Error(`ended after ${this.#unread.length} of ${count} bytes`);
      }
    }
    return this.#take(count);
  }

  /** Whatever comes until the connection ends. */
  async rest(): Promise<string> {
    while (await this.#more());
    return this.#take(this.#unread.length);
  }

  /** How the connection ends; what comes before is dropped. */
  async ended(): Promise<"end" | "reset"> {
    await this.rest();
    return this.#ended!;
  }

  /** A head: first line and fields. */
  async head(): Promise<RawMessage> {
    const [line, ...lines] = (await this.until("\r\n\r\n")).slice(0, -4).split("\r\n");
    return message(line, fieldsOf(lines));
  }

  /** A whole message. `method`: of the request that is answered (HEAD has no body). */
  async message(method = "GET"): Promise<RawMessage> {
    const got = await this.head();
    if (method === "HEAD" || [101, 100, 103, 204, 304].includes(got.status)) return got;
    if (got.get("transfer-encoding") === "chunked") {
      [got.body, got.trailers] = await this.#chunks();
    } else if (got.get("content-length") !== undefined) {
      got.body = await this.bytes(Number(got.get("content-length")));
    } else if (got.status > 0) {
      got.body = await this.rest();
    }
    return got;
  }

  /** What has been read and not used. */
  get unread(): string {
    return this.#unread;
  }

  close(): void {
    try {
      this.conn.close();
    } catch {
      // Closed by the test already.
    }
  }

  /** Ends with a reset where the system does that: by closing with unread bytes. */
  [Symbol.dispose](): void {
    this.close();
  }

  async #chunks(): Promise<[string, [string, string][]]> {
    let body = "";
    for (;;) {
      const size = parseInt(await this.until("\r\n"), 16);
      if (size === 0) break;
      body += await this.bytes(size);
      if (await this.bytes(2) !== "\r\n") throw new Error("chunk without its end");
    }
    const trailers: string[] = [];
    for (let line = await this.until("\r\n"); line !== "\r\n"; line = await this.until("\r\n")) {
      trailers.push(line.slice(0, -2));
    }
    return [body, fieldsOf(trailers)];
  }

  #take(count: number): string {
    const text = this.#unread.slice(0, count);
    this.#unread = this.#unread.slice(count);
    return text;
  }

  async #more(): Promise<boolean> {
    if (this.#ended !== undefined) return false;
    const buffer = new Uint8Array(65_536);
    try {
      const count = await soon("bytes on a raw connection", this.conn.read(buffer), LIMIT);
      if (count === null) this.#ended = "end";
      else this.#unread += textOf(buffer.subarray(0, count));
    } catch (error) {
      if (error instanceof Error && error.message.startsWith("waited")) throw error;
      this.#ended = "reset";
    }
    return this.#ended === undefined;
  }
}

/** A program on a port of its own, written as one function per connection. */
export class RawServer implements AsyncDisposable {
  readonly port: number;
  /** Connections accepted so far. */
  accepted = 0;
  readonly #listener: Deno.TcpListener;
  readonly #running = new Set<Promise<void>>();
  readonly #peers = new Set<RawPeer>();
  readonly #loop: Promise<void>;

  /** `serve` has the connection until it returns; what it throws is the end of the connection. */
  constructor(serve: (peer: RawPeer, index: number) => Promise<void>, port = 0) {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port });
    this.port = this.#listener.addr.port;
    this.#loop = this.#accept(serve);
  }

  /** Stops listening; open connections go on. */
  stop(): void {
    try {
      this.#listener.close();
    } catch {
      // Stopped before.
    }
  }

  /** Connections open now. */
  get open(): number {
    return this.#peers.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    await this.#loop;
    for (const peer of this.#peers) peer.close();
    await Promise.all(this.#running);
  }

  async #accept(serve: (peer: RawPeer, index: number) => Promise<void>): Promise<void> {
    for (;;) {
      let conn: Deno.Conn;
      try {
        conn = await this.#listener.accept();
      } catch {
        return; // Stopped.
      }
      const peer = new RawPeer(conn);
      this.#peers.add(peer);
      const running = serve(peer, this.accepted++).catch(() => {}).finally(() => {
        peer.close();
        this.#peers.delete(peer);
        this.#running.delete(running);
      });
      this.#running.add(running);
    }
  }
}

/** Bytes of Latin-1 text. */
export function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}

/** Latin-1 text of bytes. */
export function textOf(bytes: Uint8Array): string {
  // Not TextDecoder: what it calls Latin-1 is windows-1252.
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return text;
}

function fieldsOf(lines: string[]): [string, string][] {
  return lines.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
}

function message(line: string, fields: [string, string][]): RawMessage {
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(line)?.[1];
  return {
    line,
    status: status === undefined ? 0 : Number(status),
    fields,
    body: "",
    trailers: [],
    get: (name) => fields.find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1],
  };
}
