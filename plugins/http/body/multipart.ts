/**
 * Bodies of `multipart/form-data`: fields to the tree, files to disk.
 *
 * Invariant: at most one window of a body is on its way to the disk: the next one is pulled when all
 * of the last was written. Fields are bounded in number and bytes. Callbacks of the parser never
 * throw (they run in turns where nobody could catch it): the first error is kept and ends the read.
 */

import type { Buffer } from "node:buffer";
import type { Readable } from "node:stream";
import { type Body, BodyBroken } from "../../../lib/http/mod.ts";
import { messageOf } from "../../../lib/core/failure.ts";
import { Gathered, refuseLong, tooLarge } from "./collect.ts";
import type { UploadFile } from "./upload_files.ts";
import { MOST_FIELDS, tooManyFields } from "./urlencoded.ts";

/** Files of one body; PHP itself takes 20 unless told otherwise. */
const MOST_FILES = 1_000;

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** What becomes of the parts. */
export interface Parts {
  /** @throws BodyBroken when the field does not fit */
  field(name: string, value: string): void;
  /** @throws BodyBroken when the name does not fit */
  file(name: string, client: string, mime: string): UploadFile;
}

/** How much a body may have. */
export interface MultipartLimits {
  /** Bytes in all. */
  most: number;
  /** Bytes of names and values of fields: they are held in memory. */
  fields: number;
}

/**
 * Reads a body to its end. When it settles nobody works on a file any more; when it resolves all are
 * closed.
 *
 * @throws BodyBroken when the client left, broke the form or exceeded a limit
 */
export async function readMultipart(
  body: Body,
  contentType: string,
  limits: MultipartLimits,
  parts: Parts,
): Promise<void> {
  refuseLong(body, limits.most);
  const reading = new Reading(await parserFor(contentType), limits, parts);
  try {
    let length = 0;
    while (await body.pull()) {
      length += body.end - body.start;
      if (length > limits.most) throw tooLarge(limits.most);
      // The parser may hold on to what it is given, and the window is gone with the next pull.
      await reading.take(body.bytes.slice(body.start, body.end));
    }
    await reading.end();
  } finally {
    await reading.settled();
  }
}

type Parser = Awaited<ReturnType<typeof parserFor>>;

async function parserFor(contentType: string) {
  const { Busboy } = await import("./busboy.ts");
  try {
    return new Busboy({
      headers: { "content-type": contentType },
      // Fields as well: what the parser does with their text is slow, and depends on their charset.
      isPartAFile: () => true,
    });
  } catch (error) {
    throw broken(messageOf(error));
  }
}

/** One body on its way through the parser. */
class Reading {
  readonly #parser: Parser;
  readonly #parts: Parts;
  readonly #fieldLimit: number;
  /** Work on files in the order of the body; never rejects. */
  #files = Promise.resolve();
  /** In the order of the body, with what came of them. */
  readonly #fields: { name: string; value: Gathered }[] = [];
  #fieldBytes = 0;
  #fileCount = 0;
  /** The first thing that went wrong; nothing is taken from the parser after it. */
  #error: unknown;
  #over = false;
  #finished = false;
  /** Ends the wait of take() or end(). */
  #wake = () => {};

  constructor(parser: Parser, limits: MultipartLimits, parts: Parts) {
    this.#parser = parser;
    this.#fieldLimit = limits.fields;
    this.#parts = parts;
    parser.on("file", (name, stream, client, _encoding, mime) => {
      this.#guard(() => this.#part(name, stream, client, mime));
    });
    parser.on("error", (error) => this.#fail(broken(messageOf(error))));
    parser.on("finish", () => {
      this.#finished = true;
      this.#wake();
    });
  }

  /** Parses bytes; resolves when nothing of them waits for the disk. @throws BodyBroken */
  async take(bytes: Uint8Array): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      this.#parser.write(bytes, () => resolve());
    });
    await this.#rest();
  }

  /** The body is over. @throws BodyBroken when the form is not */
  async end(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (this.#finished) resolve();
      else this.#parser.end();
    });
    await this.#rest();
    for (const { name, value } of this.#fields) this.#parts.field(name, utf8.decode(value.bytes));
  }

  /** Nothing more is taken; resolves when no file is being worked on. */
  async settled(): Promise<void> {
    this.#over = true;
    await this.#files;
  }

  async #rest(): Promise<void> {
    await this.#files;
    if (this.#over) throw this.#error;
  }

  #part(name: string | undefined, stream: Readable, client: string | undefined, mime: string) {
    // The stream is told of errors of the whole body, which the parser itself tells as well.
    stream.on("error", () => {});
    if (name === undefined) stream.resume(); // as PHP: what has no name is nothing
    else if (client === undefined) this.#field(name, stream);
    else this.#file(name, stream, client, mime);
  }

  #field(name: string, stream: Readable): void {
    const value = new Gathered(0);
    if (this.#fields.push({ name, value }) > MOST_FIELDS) throw tooManyFields();
    this.#count(name.length);
    stream.on("data", (bytes: Buffer) => {
      this.#guard(() => {
        this.#count(bytes.length);
        value.add(bytes);
      });
    });
  }

  #count(bytes: number): void {
    this.#fieldBytes += bytes;
    if (this.#fieldBytes <= this.#fieldLimit) return;
    throw new BodyBroken(`the fields are larger than ${this.#fieldLimit} bytes`, 413);
  }

  #file(name: string, stream: Readable, client: string, mime: string): void {
    if (++this.#fileCount > MOST_FILES) {
      throw new BodyBroken(`the form has more than ${MOST_FILES} files`, 413);
    }
    const file = this.#parts.file(name, client, mime);
    this.#later(() => file.open());
    stream.on("data", (bytes: Buffer) => this.#later(() => file.write(bytes)));
    stream.on("end", () => this.#later(() => file.close()));
  }

  #later(step: () => Promise<void>): void {
    if (!this.#over) this.#files = this.#files.then(step);
  }

  #guard(run: () => void): void {
    if (this.#over) return;
    try {
      run();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#error = error;
    this.#wake();
  }
}

function broken(reason: string): BodyBroken {
  return new BodyBroken(`the multipart body is broken: ${reason}`);
}
