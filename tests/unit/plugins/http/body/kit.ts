/**
 * Bodies and hosts for tests of forms.
 *
 * Invariant: as with a real connection, a window is gone with the next pull: it is overwritten.
 */

import { type Body, BodyBroken } from "../../../../../lib/http/mod.ts";
import {
  type Form,
  type FormRules,
  readTree,
  type UploadHost,
} from "../../../../../plugins/http/body/mod.ts";
import type { Emit } from "../../../../../lib/telemetry/events.ts";

/** A body that comes in pieces of a given size. */
export class PieceBody implements Body {
  readonly trailers = undefined;
  readonly bytes: Uint8Array;
  readonly length: number;
  start = 0;
  end = 0;
  done: boolean;
  /** Called before each pull. */
  onPull: (taken: number) => void | Promise<void> = () => {};
  /** The client leaves after so many bytes. */
  leaves = Infinity;
  readonly #all: Uint8Array;
  #taken = 0;

  constructor(all: Uint8Array | string, size = 16_384, length?: number) {
    this.#all = typeof all === "string" ? new TextEncoder().encode(all) : all;
    this.bytes = new Uint8Array(Math.max(1, size));
    this.length = length ?? this.#all.length;
    this.done = this.#all.length === 0;
  }

  async pull(): Promise<boolean> {
    this.bytes.fill(0xee);
    await this.onPull(this.#taken);
    if (this.#taken >= this.leaves) throw new BodyBroken("the connection ended inside a body");
    const piece = this.#all.subarray(this.#taken, this.#taken + this.bytes.length);
    this.bytes.set(piece);
    this.start = 0;
    this.end = piece.length;
    this.#taken += piece.length;
    this.done = this.#taken === this.#all.length;
    return piece.length > 0;
  }
}

/** What was told. */
export type Told = { event: string; data: Record<string, unknown> }[];

/** A host whose names are counted, and what was told to it. */
export function hostWith(owner?: UploadHost["owner"]): UploadHost & { told: Told } {
  const told: Told = [];
  let count = 0;
  const emit: Emit = (event, data) => {
    told.push({ event, data: data as Record<string, unknown> });
  };
  return {
    names: () => `upload-${count++}`,
    emit,
    told,
    ...(owner === undefined ? {} : { owner }),
  };
}

/** Rules with a directory. */
export function rulesOf(dir: string, more: Partial<FormRules["uploads"]> = {}): FormRules {
  return { max_request_size: 10_000_000, uploads: { dir, forbid: [], allow: [], ...more } };
}

export const URLENCODED = "application/x-www-form-urlencoded";
export const MULTIPART = "multipart/form-data; boundary=XX";

/** Reads an urlencoded text. */
export async function urlencoded(text: string, size?: number): Promise<string> {
  const form = await readTree(
    new PieceBody(text, size),
    URLENCODED,
    rulesOf("/nowhere"),
    hostWith(),
  );
  return textOf(form);
}

/** The tree of fields as text. */
export function textOf(form: Form): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(form.body);
}

/** One part. */
export interface Part {
  name?: string;
  filename?: string;
  type?: string;
  content: string | Uint8Array;
}

/** A multipart body with the boundary of MULTIPART. */
export function multipart(parts: Part[], end = "\r\n--XX--\r\n"): Uint8Array {
  const pieces: (string | Uint8Array)[] = [];
  for (const [i, { name, filename, type, content }] of parts.entries()) {
    const file = filename === undefined ? "" : `; filename="${filename}"`;
    const named = name === undefined ? "" : `; name="${name}"`;
    pieces.push(
      `${i === 0 ? "" : "\r\n"}--XX\r\nContent-Disposition: form-data${named}${file}\r\n` +
        `${type === undefined ? "" : `Content-Type: ${type}\r\n`}\r\n`,
      content,
    );
  }
  pieces.push(parts.length === 0 ? end.slice(2) : end);
  return joined(pieces);
}

/** Texts and bytes in a row. */
export function joined(pieces: (string | Uint8Array)[]): Uint8Array {
  const all = pieces.map((one) => typeof one === "string" ? new TextEncoder().encode(one) : one);
  const bytes = new Uint8Array(all.reduce((sum, one) => sum + one.length, 0));
  let at = 0;
  for (const one of all) {
    bytes.set(one, at);
    at += one.length;
  }
  return bytes;
}

/** Names of what a directory holds. */
export function namesIn(dir: string): string[] {
  return [...Deno.readDirSync(dir)].map((entry) => entry.name).sort();
}
