/**
 * Clients that stay: a WebSocket that checks every echo, and a Server-Sent Events reader that checks
 * the sequence. They are there to see what a release swap does to long connections.
 *
 * Invariant: nothing is assumed about how a stream ended; each says exactly what it saw.
 */

import { AnswerReader, broken, type Flaw } from "./response.ts";
import { soon, until } from "./wait.ts";

/** How a WebSocket ended. */
export interface SocketEnd {
  /** Of the close frame; 1006 when there was none. */
  code: number;
  reason: string;
  /** Echoes that came back right. */
  echoed: number;
  /** Echoes that came back wrong, or out of order. */
  wrong: number;
  /** Sent but never answered. */
  open: number;
}

/** A WebSocket that sends numbered texts, each when the one before came back. */
export class EchoSocket {
  readonly #socket: WebSocket;
  readonly #ended = Promise.withResolvers<SocketEnd>();
  readonly #opened = Promise.withResolvers<void>();
  #sent = 0;
  #echoed = 0;
  #wrong = 0;
  #expected = "";

  /** Use openEcho. @param pad characters added to each message */
  constructor(port: number, path: string, pad: number) {
    this.#socket = new WebSocket(`ws://127.0.0.1:${port}${path}`);
    const send = () => {
      this.#expected = `${++this.#sent} ${"x".repeat(pad)}`;
      this.#socket.send(this.#expected);
    };
    this.#socket.onopen = () => {
      this.#opened.resolve();
      send();
    };
    this.#socket.onmessage = ({ data }) => {
      if (data === this.#expected) this.#echoed++;
      else this.#wrong++;
      if (this.#socket.readyState === WebSocket.OPEN) send();
    };
    this.#socket.onclose = ({ code, reason }) => {
      this.#opened.reject(new Error(`the WebSocket closed before it opened (${code} ${reason})`));
      this.#ended.resolve({
        // Deno says 0 where the standard says 1006: no close frame was seen.
        code: code || 1006,
        reason,
        echoed: this.#echoed,
        wrong: this.#wrong,
        open: this.#sent - this.#echoed - this.#wrong,
      });
    };
    // What went wrong is seen in the code of the close that follows.
    this.#socket.onerror = (event) => event.preventDefault();
    this.#opened.promise.catch(() => {});
  }

  /** Resolves when it is open. */
  opened(): Promise<void> {
    return soon("a WebSocket to open", this.#opened.promise);
  }

  /** Echoes so far. */
  get echoed(): number {
    return this.#echoed;
  }

  /** Waits for `count` more echoes. */
  async echoes(count: number): Promise<void> {
    const goal = this.#echoed + count;
    await until(`${count} more echoes`, () => this.#echoed >= goal);
  }

  /** How it ended; does not end it. */
  ended(limit?: number): Promise<SocketEnd> {
    return soon("the end of a WebSocket", this.#ended.promise, limit);
  }

  /** Closes it (code 1000) and says how it went. */
  close(): Promise<SocketEnd> {
    this.#socket.close(1000);
    return this.ended();
  }
}

/** Opens a WebSocket to fixtures/web.mjs. @throws Error when it is refused */
export async function openEcho(port: number, path = "/echo", pad = 100): Promise<EchoSocket> {
  const socket = new EchoSocket(port, path, pad);
  await socket.opened();
  return socket;
}

/** How an event stream ended. */
export interface StreamEnd {
  /** Events that came in sequence. */
  events: number;
  /** Jumps in the sequence of ids. */
  gaps: number;
  /** `x-version` of the answer. */
  version: string | undefined;
  /** `complete`: the body's end was marked. `ours`: close() was called. */
  how: "complete" | "ours" | Flaw;
}

/** A reader of numbered Server-Sent Events. */
export class EventReader {
  readonly #conn: Deno.TcpConn;
  readonly #reader: AnswerReader;
  readonly #ended: Promise<StreamEnd>;
  #text = "";
  #events = 0;
  #gaps = 0;
  #last: number | undefined;
  #closed = false;

  private constructor(
    conn: Deno.TcpConn,
    reader: AnswerReader,
    head: { status: number; headers: Map<string, string> },
  ) {
    this.#conn = conn;
    this.#reader = reader;
    const version = head.headers.get("x-version");
    const decoder = new TextDecoder();
    this.#ended = reader.body(head, "GET", (piece) => {
      this.#take(decoder.decode(piece, { stream: true }));
    }).then(
      (marked) => marked ? "complete" as const : "eof" as const,
      (error) => this.#closed ? "ours" as const : broken(error, this.#reader.begun).flaw,
    ).then((how) => {
      if (!this.#closed) this.#conn.close();
      return { events: this.#events, gaps: this.#gaps, version, how };
    });
  }

  /** Asks for the stream. @throws Error when the answer is not 200 */
  static async open(port: number, path: string): Promise<EventReader> {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    try {
      await conn.write(
        new TextEncoder().encode(
          `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n`,
        ),
      );
      const reader = new AnswerReader(conn);
      const head = await soon("the head of an event stream", reader.head());
      if (head.status !== 200) throw new Error(`the event stream answered ${head.status}`);
      return new EventReader(conn, reader, head);
    } catch (error) {
      conn.close();
      throw error;
    }
  }

  #take(text: string): void {
    this.#text += text;
    for (let end; (end = this.#text.indexOf("\n\n")) >= 0;) {
      const id = Number(/^id: (\d+)$/m.exec(this.#text.slice(0, end))?.[1]);
      this.#text = this.#text.slice(end + 2);
      if (this.#last !== undefined && id !== this.#last + 1) this.#gaps++;
      this.#last = id;
      this.#events++;
    }
  }

  /** Events so far. */
  get events(): number {
    return this.#events;
  }

  /** Waits for `count` more events. */
  async more(count: number): Promise<void> {
    const goal = this.#events + count;
    await until(`${count} more events`, () => this.#events >= goal);
  }

  /** How it ended; does not end it. */
  ended(limit?: number): Promise<StreamEnd> {
    return soon("the end of an event stream", this.#ended, limit);
  }

  /** Ends it. */
  close(): Promise<StreamEnd> {
    if (!this.#closed) {
      this.#closed = true;
      try {
        this.#conn.close();
      } catch {
        // It had ended by itself.
      }
    }
    return this.ended();
  }
}

/** Opens the event stream of fixtures/web.mjs. */
export function openEvents(port: number, path = "/events"): Promise<EventReader> {
  return EventReader.open(port, path);
}
