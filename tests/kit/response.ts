/**
 * Reads HTTP/1.1 answers from a socket and knows exactly how one broke.
 *
 * Invariant: a broken answer is told apart from an empty one: whether any byte of it arrived decides
 * between `eof` and `partial`.
 */

const ENOUGH = 64 * 1024;
const HEAD_LIMIT = 64 * 1024;

/** How a request failed. */
export type Flaw =
  /** Nobody listened. */
  | "refused"
  /** The connection was reset. */
  | "reset"
  /** The connection ended before a byte of the answer. */
  | "eof"
  /** The connection ended inside the answer. */
  | "partial"
  /** Time ran out. */
  | "timeout"
  /** The answer is no HTTP, or its body is not what it had to be. */
  | "garbled";

/** A request that failed, and how. */
export class Broken extends Error {
  constructor(readonly flaw: Flaw, message: string) {
    super(`${flaw}: ${message}`);
  }
}

/** The flaw behind an error of the socket. */
export function broken(error: unknown, begun: boolean): Broken {
  if (error instanceof Broken) return error;
  const message = (error as Error).message;
  if (error instanceof Deno.errors.ConnectionRefused) return new Broken("refused", message);
  if (error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe) {
    return new Broken("reset", message);
  }
  return new Broken(begun ? "partial" : "eof", message);
}

/** Head of an answer. */
export interface Head {
  status: number;
  /** Names in lower case; of repeated ones the last. */
  headers: Map<string, string>;
}

/** One whole answer. */
export interface Answer extends Head {
  body: Uint8Array;
  /** The connection may carry another request. */
  reusable: boolean;
}

/** Reads answers, one after the other, from one connection. */
export class AnswerReader {
  readonly #conn: Deno.Conn;
  #buffer = new Uint8Array(ENOUGH);
  #start = 0;
  #end = 0;
  /** Whether a byte of the current answer arrived. */
  begun = false;

  constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  /** A whole answer. @throws Broken */
  async answer(method = "GET"): Promise<Answer> {
    const head = await this.head();
    const pieces: Uint8Array[] = [];
    const delimited = await this.body(head, method, (piece) => pieces.push(piece));
    const close = head.headers.get("connection")?.toLowerCase() === "close";
    return { ...head, body: concat(pieces), reusable: delimited && !close };
  }

  /** The head of the next answer; interim answers (1xx but 101) are passed over. @throws Broken */
  async head(): Promise<Head> {
    for (;;) {
      this.begun = this.#end > this.#start;
      const lines: string[] = [];
      for (let size = 0;;) {
        const line = await this.line();
        size += line.length;
        if (size > HEAD_LIMIT) throw new Broken("garbled", "a head without end");
        if (line === "") break;
        lines.push(line);
      }
      const status = /^HTTP\/1\.[01] (\d{3})( |$)/.exec(lines[0] ?? "")?.[1];
      if (status === undefined) throw new Broken("garbled", `status line "${lines[0]}"`);
      const headers = new Map<string, string>();
      for (const line of lines.slice(1)) {
        const colon = line.indexOf(":");
        headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
      }
      if (Number(status) >= 200 || status === "101") return { status: Number(status), headers };
    }
  }

  /**
   * The body of the answer with this head, piece by piece.
   *
   * @returns true when its end was marked, false when only the connection's end ended it
   * @throws Broken when the connection ends before the body does
   */
  async body(head: Head, method: string, take: (piece: Uint8Array) => void): Promise<boolean> {
    if (method === "HEAD" || head.status === 204 || head.status === 304) return true;
    if (head.headers.get("transfer-encoding")?.toLowerCase().endsWith("chunked")) {
      for (;;) {
        const size = parseInt(await this.line(), 16);
        if (!(size >= 0)) throw new Broken("garbled", "chunk size");
        if (size > 0) await this.#bytes(size, take);
        // After the last chunk: trailers up to an empty line; after each other: its line end.
        while (await this.line() !== "" && size === 0);
        if (size === 0) return true;
      }
    }
    const length = head.headers.get("content-length");
    if (length !== undefined) {
      await this.#bytes(Number(length), take);
      return true;
    }
    do this.#takeSome(Infinity, take); while (await this.#fill());
    return false;
  }

  /** One line without its end. @throws Broken */
  async line(): Promise<string> {
    for (let from = this.#start;;) {
      const at = this.#buffer.subarray(0, this.#end).indexOf(10, from);
      if (at >= 0) {
        const line = new TextDecoder().decode(this.#buffer.subarray(this.#start, at));
        this.#start = at + 1;
        return line.replace(/\r$/, "");
      }
      const read = this.#end - this.#start;
      await this.#need();
      from = this.#start + read;
    }
  }

  async #bytes(count: number, take: (piece: Uint8Array) => void): Promise<void> {
    while (count > 0) {
      if (this.#start === this.#end) await this.#need();
      count -= this.#takeSome(count, take);
    }
  }

  #takeSome(most: number, take: (piece: Uint8Array) => void): number {
    const count = Math.min(most, this.#end - this.#start);
    take(this.#buffer.slice(this.#start, this.#start + count));
    this.#start += count;
    return count;
  }

  async #need(): Promise<void> {
    if (await this.#fill()) return;
    throw new Broken(this.begun ? "partial" : "eof", "the connection ended");
  }

  async #fill(): Promise<boolean> {
    if (this.#start > 0) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    if (this.#end === this.#buffer.length) throw new Broken("garbled", "a line without end");
    const count = await this.#conn.read(this.#buffer.subarray(this.#end));
    if (count === null) return false;
    this.begun = true;
    this.#end += count;
    return true;
  }
}

function concat(pieces: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
