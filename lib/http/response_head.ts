/**
 * Response heads, received or made by us.
 *
 * Invariant: a head that we make ourselves goes through the same parser as a received one, so a
 * value with a line end in it is an error and never a second field (response splitting).
 */

import { latin1, SP } from "./bytes.ts";
import { COMPLETE, MORE } from "./fields.ts";
import { Head, isDigit, VERSION } from "./head.ts";

/** The head of an answer. */
export class ResponseHead extends Head {
  status = 0;
  #lineEnd = 0;

  /**
   * A head made from parts.
   * @param fields names and values; neither may hold CR, LF or other control bytes
   * @throws TypeError when one does
   */
  static of(status: number, fields: readonly (readonly [string, string])[] = []): ResponseHead {
    let source = `HTTP/1.1 ${status} ${REASONS.get(status) ?? ""}\r\n`;
    for (const [name, value] of fields) source += `${name}: ${value}\r\n`;
    const bytes = latin1(source + "\r\n");
    const head = new ResponseHead();
    head.reset(bytes, 0, 0, 0);
    const whole = head.feed(bytes.length) === COMPLETE && head.size === bytes.length;
    // A line end in a value reads as one more field.
    if (!whole || head.count !== fields.length) {
      throw new TypeError(`Cannot make an answer: ${head.reason || "a field holds a line end"}`);
    }
    return head;
  }

  /** Status line without CR LF: `bytes[at, lineStop)`. */
  get lineStop(): number {
    return this.at + this.#lineEnd;
  }

  /** True when the sender may be asked again after this answer. */
  get persistent(): boolean {
    return this.minor === 1 ? !this.close : this.keepAlive && !this.close;
  }

  protected override readFirstLine(start: number, end: number): number {
    const bytes = this.bytes;
    for (let i = 0; i < VERSION.length; i++) {
      if (bytes[start + i] !== VERSION[i]) return this.refuse(502, "not an HTTP/1 answer");
    }
    const minor = bytes[start + 7] - 48;
    if (minor !== 0 && minor !== 1) return this.refuse(502, "not an HTTP/1 answer");
    const status = (bytes[start + 9] - 48) * 100 + (bytes[start + 10] - 48) * 10 +
      bytes[start + 11] - 48;
    const digits = isDigit(bytes[start + 9]) && isDigit(bytes[start + 10]) &&
      isDigit(bytes[start + 11]);
    const closed = end === start + 12 || bytes[start + 12] === SP;
    if (end < start + 12 || bytes[start + 8] !== SP || !digits || !closed || status < 100) {
      return this.refuse(502, "bad status line");
    }
    this.minor = minor;
    this.status = status;
    this.#lineEnd = end - this.at;
    this.firstLine = false;
    return MORE;
  }
}

/** Reason phrases of the answers that we make ourselves. */
export const REASONS: ReadonlyMap<number, string> = new Map([
  [100, "Continue"],
  [101, "Switching Protocols"],
  [103, "Early Hints"],
  [200, "OK"],
  [201, "Created"],
  [202, "Accepted"],
  [203, "Non-Authoritative Information"],
  [204, "No Content"],
  [205, "Reset Content"],
  [206, "Partial Content"],
  [300, "Multiple Choices"],
  [301, "Moved Permanently"],
  [302, "Found"],
  [303, "See Other"],
  [304, "Not Modified"],
  [307, "Temporary Redirect"],
  [308, "Permanent Redirect"],
  [400, "Bad Request"],
  [401, "Unauthorized"],
  [402, "Payment Required"],
  [403, "Forbidden"],
  [404, "Not Found"],
  [405, "Method Not Allowed"],
  [406, "Not Acceptable"],
  [408, "Request Timeout"],
  [409, "Conflict"],
  [410, "Gone"],
  [411, "Length Required"],
  [412, "Precondition Failed"],
  [413, "Content Too Large"],
  [414, "URI Too Long"],
  [415, "Unsupported Media Type"],
  [416, "Range Not Satisfiable"],
  [417, "Expectation Failed"],
  [421, "Misdirected Request"],
  [422, "Unprocessable Content"],
  [423, "Locked"],
  [424, "Failed Dependency"],
  [426, "Upgrade Required"],
  [428, "Precondition Required"],
  [429, "Too Many Requests"],
  [431, "Request Header Fields Too Large"],
  [451, "Unavailable For Legal Reasons"],
  [500, "Internal Server Error"],
  [501, "Not Implemented"],
  [502, "Bad Gateway"],
  [503, "Service Unavailable"],
  [504, "Gateway Timeout"],
  [505, "HTTP Version Not Supported"],
  [507, "Insufficient Storage"],
  [511, "Network Authentication Required"],
]);
