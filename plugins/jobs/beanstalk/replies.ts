/**
 * What beanstalkd answers, out of the bytes as they come: a line, and behind some of them a body.
 *
 * | state | entered by                          | next                                    |
 * | ----- | ----------------------------------- | --------------------------------------- |
 * | line  | –, a whole answer                   | line; body, by a line that announces one |
 * | body  | a line that announces one           | line, when all of it and its end came   |
 *
 * Invariants: a line has at most MAX_LINE bytes and a body MAX_BODY; bodies are copies, and hold on to
 * nothing else; whatever is no answer is an error, never skipped.
 */

/** An answer: its first word, the words behind it, and its body. */
export interface Reply {
  readonly word: string;
  readonly args: readonly string[];
  readonly body?: Uint8Array<ArrayBuffer>;
}

/** The longest is that of a job: word and two numbers. */
const MAX_LINE = 1024;
/** The largest job for which beanstalkd can be set up. */
export const MAX_BODY = 1024 * 1024 * 1024;

/** Their last word is the length of the body. */
const WITH_BODY = new Set(["RESERVED", "FOUND", "OK"]);
const [CR, LF] = [13, 10];

/** See the file's comment. */
export class Replies {
  readonly #decoder = new TextDecoder();
  readonly #on: (reply: Reply) => void;
  #line = "";
  #head: { word: string; args: string[] } | undefined;
  /** With the end of line behind it. */
  #body = new Uint8Array(0);
  #filled = 0;

  constructor(on: (reply: Reply) => void) {
    this.#on = on;
  }

  /** @throws Error when that is not beanstalkd's */
  feed(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      at = this.#head === undefined ? this.#readLine(chunk, at) : this.#readBody(chunk, at);
    }
  }

  #readLine(chunk: Uint8Array, at: number): number {
    const end = chunk.indexOf(LF, at);
    const part = chunk.subarray(at, end < 0 ? chunk.length : end);
    if (this.#line.length + part.length > MAX_LINE) throw new Error("its answer has no end");
    this.#line += this.#decoder.decode(part);
    if (end < 0) return chunk.length;
    const [word, ...args] = this.#line.replace(/\r$/, "").split(" ");
    this.#line = "";
    if (!WITH_BODY.has(word)) {
      this.#on({ word, args });
      return end + 1;
    }
    const length = Number(args.at(-1));
    if (!Number.isInteger(length) || length < 0 || length > MAX_BODY) {
      throw new Error(`its answer ${word} announces no length`);
    }
    this.#head = { word, args };
    this.#body = new Uint8Array(length + 2);
    this.#filled = 0;
    return end + 1;
  }

  #readBody(chunk: Uint8Array, at: number): number {
    const body = this.#body;
    const part = chunk.subarray(at, at + body.length - this.#filled);
    body.set(part, this.#filled);
    this.#filled += part.length;
    if (this.#filled === body.length) {
      if (body.at(-2) !== CR || body.at(-1) !== LF) {
        throw new Error("its answer has a wrong length");
      }
      const reply = { ...this.#head!, body: body.subarray(0, -2) };
      this.#head = undefined;
      this.#body = new Uint8Array(0);
      this.#on(reply);
    }
    return at + part.length;
  }
}
