/**
 * What is called how at the server, for a pipeline of a stream and a subject.
 *
 * | place                                 | is                                                |
 * | ------------------------------------- | ------------------------------------------------- |
 * | `STREAM`, subject `SUBJECT`           | jobs that wait, and those that are reserved       |
 * | `STREAM+SUBJECT+delayed`              | stream and subject of jobs whose time is to come  |
 * | `STREAM+SUBJECT+dead`, `….ID`         | stream of dead letters, one subject for each id   |
 * | `STREAM+SUBJECT+keys+MILLISECONDS`    | stream and subject of the keys of unique jobs     |
 * | `supervisor-SUBJECT`                  | the durable consumer, in the first two of them    |
 *
 * Invariant: different streams, subjects and ids have different names; every name is one that
 * servers can make a file of.
 */

import { createHash } from "node:crypto";

/** See the file's comment. */
export interface Places {
  readonly stream: string;
  readonly subject: string;
  readonly consumer: string;
  /** Stream and subject. */
  readonly delayed: string;
  readonly dead: string;
}

/** Longest part of a name. */
const MAX_PART = 80;

/** The places of a pipeline. */
export function placesOf({ stream, subject }: { stream: string; subject: string }): Places {
  const key = nameOf(subject);
  const both = `${nameOf(stream)}+${key}`;
  return {
    stream,
    subject,
    consumer: `supervisor-${key}`,
    delayed: `${both}+delayed`,
    dead: `${both}+dead`,
  };
}

/** Where dead letters of that id lie. */
export function deadSubject({ dead }: Places, id: string): string {
  return `${dead}.${nameOf(id)}`;
}

/** Where the keys of unique jobs of that window lie. */
export function keyStream({ stream, subject }: Places, window: number): string {
  return `${nameOf(stream)}+${nameOf(subject)}+keys+${window}`;
}

/** Letters, digits, `-` and `_` are themselves; of a text that would be too long, its digest. */
export function nameOf(text: string): string {
  const name = [...new TextEncoder().encode(text)].map((byte) => {
    const char = String.fromCharCode(byte);
    return /[A-Za-z0-9_-]/.test(char) ? char : `=${byte.toString(16).padStart(2, "0")}`;
  }).join("");
  if (name.length > 0 && name.length <= MAX_PART) return name;
  // No other name has two of these beside each other.
  return `==${createHash("sha256").update(text).digest("hex")}`;
}
