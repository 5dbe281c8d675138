/**
 * Where a command's words go: data to stdout, talk to stderr.
 *
 * Invariants: with --json stdout carries JSON documents, one a line, and stderr nothing but what a
 * bug of ours says; a reader of stdout that has gone (`| head`) is no error, it only ends output.
 */

import type { Paint } from "./render/paint.ts";

/** A writable end. */
export interface Sink {
  write(bytes: Uint8Array): Promise<number>;
}

/** How to speak. */
export interface Voice {
  json: boolean;
  /** stdout is a terminal. */
  terminal: boolean;
  /** Colours for stdout and for stderr. */
  paint: Paint;
  talkPaint: Paint;
}

const encoder = new TextEncoder();

/** The command's stdout and stderr. */
export class Output {
  readonly #gone = new AbortController();

  constructor(
    readonly voice: Voice,
    readonly stdout: Sink = Deno.stdout,
    readonly stderr: Sink = Deno.stderr,
  ) {}

  /** JSON was asked for. */
  get json(): boolean {
    return this.voice.json;
  }

  /** Aborted once nobody reads stdout any more. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Data: what the command was asked for. */
  async data(text: string): Promise<void> {
    if (this.#gone.signal.aborted) return;
    try {
      await writeAll(this.stdout, text);
    } catch (error) {
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
      this.#gone.abort();
    }
  }

  /** Data as one JSON document on one line. */
  document(value: unknown): Promise<void> {
    return this.data(`${JSON.stringify(value)}\n`);
  }

  /** The result: a document with --json, else text. */
  async result(value: unknown, text: () => string): Promise<void> {
    await (this.json ? this.document(value) : this.data(text()));
  }

  /** Talk: progress, hints. Nothing with --json. */
  async talk(text: string): Promise<void> {
    if (!this.json) await this.complain(text);
  }

  /** Talk that cannot wait for --json to be left out: errors. */
  async complain(text: string): Promise<void> {
    try {
      await writeAll(this.stderr, text);
    } catch {
      // Nobody reads stderr: there is no one left to tell, and the exit code still speaks.
    }
  }
}

async function writeAll(sink: Sink, text: string): Promise<void> {
  const bytes = encoder.encode(text);
  for (let at = 0; at < bytes.length;) at += await sink.write(bytes.subarray(at));
}
