/**
 * A supervisor's side of the protocol, for one worker: frames are written and read byte by byte over
 * real pipes and sockets, by code that shares nothing with what it tests.
 *
 * Invariant: nothing of a worker outlives its scope, and every wait is bounded.
 */

import { crc32 } from "node:zlib";
import { fromFileUrl } from "@std/path";
import { fixture } from "../../kit/programs.ts";
import { Scratch } from "../../kit/scratch.ts";
import { soon, until } from "../../kit/wait.ts";

const HERE = fromFileUrl(new URL(".", import.meta.url));
const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** What runs a worker. Node gets a bundle, so that a Node without types in its syntax can run it. */
export const RUNTIMES = ["deno", "node"] as const;
/** How frames go. */
export const RELAYS = ["pipes", "tcp", "unix"] as const;
export type Runtime = typeof RUNTIMES[number];

/** A frame that came. */
export interface Received {
  flags: number;
  bits: number;
  options: number[];
  context: string;
  body: string;
  hex: string;
}

/** Bytes written in hexadecimal, blanks ignored. */
export function hex(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text.match(/[0-9a-f]{2}/g) ?? [], (byte) => parseInt(byte, 16));
}

/** A frame as bytes. */
export function frame(
  { flags = 0, bits = 0, options = [] as number[], payload = "" as string | Uint8Array },
): Uint8Array<ArrayBuffer> {
  const body = typeof payload === "string" ? encoder.encode(payload) : payload;
  const bytes = new Uint8Array(12 + 4 * options.length + body.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x13 + options.length, flags]);
  view.setUint32(2, body.length, true);
  view.setUint32(6, crc32(bytes.subarray(0, 6)), true);
  bytes[10] = bits;
  options.forEach((option, i) => view.setUint32(12 + 4 * i, option, true));
  bytes.set(body, 12 + 4 * options.length);
  return bytes;
}

/** A request frame. */
export function request(flags: number, context: string | Uint8Array, body = "") {
  const head = typeof context === "string" ? encoder.encode(context) : context;
  const rest = encoder.encode(body);
  const payload = new Uint8Array([...head, ...rest]);
  return frame({ flags, options: [head.length], payload });
}

/** The request of an HTTP client in JSON. */
export function get(path: string, overrides: Record<string, unknown> = {}, body = "") {
  const context = {
    remoteAddr: "127.0.0.1",
    protocol: "HTTP/1.1",
    method: "GET",
    uri: `http://localhost:8080${path}`,
    headers: {},
    cookies: {},
    rawQuery: "",
    parsed: false,
    uploads: null,
    attributes: {},
    ...overrides,
  };
  return request(0x08, JSON.stringify(context), body);
}

const bundles = new Map<string, Promise<string>>();
let bundled: Scratch | undefined;

/** The worker script as one file of plain JavaScript. */
function bundle(name: string): Promise<string> {
  bundled ??= new Scratch();
  const output = bundled.path(`${name}.mjs`);
  const made = bundles.get(name) ?? new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", `--output=${output}`, `${HERE}workers/${name}.ts`],
  }).output().then(({ success, stderr }) => {
    if (!success) throw new Error(decoder.decode(stderr));
    return output;
  });
  bundles.set(name, made);
  return made;
}
globalThis.addEventListener("unload", () => bundled?.[Symbol.dispose]());

async function commandOf(name: string, runtime: Runtime): Promise<string[]> {
  if (name.endsWith(".php")) return ["php", fixture(`php/${name}`)];
  if (runtime === "node") return ["node", await bundle(name)];
  return [Deno.execPath(), "run", "-A", "--quiet", "--no-lock", `${HERE}workers/${name}.ts`];
}

/** A running worker. */
export class Worker implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #conn: { reader: ReadableStreamDefaultReader; writer: WritableStreamDefaultWriter };
  readonly #stderr: Promise<void>;
  #held: Uint8Array = new Uint8Array(0);
  /** What it wrote to stderr so far. */
  stderr = "";

  private constructor(
    child: Deno.ChildProcess,
    readable: ReadableStream<Uint8Array>,
    writable: WritableStream<Uint8Array>,
  ) {
    this.#child = child;
    this.#conn = { reader: readable.getReader(), writer: writable.getWriter() };
    this.#stderr = child.stderr.pipeThrough(new TextDecoderStream()).pipeTo(
      new WritableStream({ write: (text) => void (this.stderr += text) }),
    );
  }

  /** Starts workers/NAME.ts, or a PHP fixture; the handshake is left to the test. */
  static async start(
    name: string,
    { runtime = "deno" as Runtime, relay = "pipes" as typeof RELAYS[number], env = {} } = {},
  ): Promise<Worker> {
    const plugin = name.endsWith(".php") ? "http" : name;
    return await Worker.run(await commandOf(name, runtime), plugin, { relay, env });
  }

  /** Starts any worker. @param plugin what RR_MODE says */
  static async run(
    argv: string[],
    plugin: string,
    { relay = "pipes" as typeof RELAYS[number], env = {} } = {},
  ): Promise<Worker> {
    const spawn = (dsn: string) =>
      new Deno.Command(argv[0], {
        args: argv.slice(1),
        env: { RR_RELAY: dsn, RR_MODE: plugin, ...env },
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
    if (relay === "pipes") {
      const child = spawn("pipes");
      return new Worker(child, child.stdout, child.stdin);
    }
    using scratch = new Scratch();
    const path = scratch.path("relay.sock");
    using listener = relay === "tcp"
      ? Deno.listen({ hostname: "127.0.0.1", port: 0 })
      : Deno.listen({ transport: "unix", path });
    const { addr } = listener;
    const tcp = addr.transport === "tcp" ? `tcp://127.0.0.1:${addr.port}` : undefined;
    const child = spawn(tcp ?? `unix://${path}`);
    const conn = await soon("the worker's connection", listener.accept() as Promise<Deno.Conn>);
    await Promise.all([child.stdin.close(), child.stdout.cancel()]);
    return new Worker(child, conn.readable, conn.writable);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Writes bytes as they are. */
  async send(bytes: Uint8Array): Promise<void> {
    await soon("the worker to read", this.#conn.writer.write(bytes));
  }

  /** Shakes hands. @returns the pid it says */
  async hello(): Promise<number> {
    await this.send(frame({ flags: 0x09, payload: '{"pid":4242}' }));
    const { flags, options, body } = await this.frame();
    if (flags !== 0x01 || options.length > 0) throw new Error(`answered the handshake ${flags}`);
    return JSON.parse(body).pid;
  }

  /** A request and the (only) frame of its answer. */
  async ask(bytes: Uint8Array): Promise<Received> {
    await this.send(bytes);
    return await this.frame();
  }

  /** The next frame. @throws Error when it is none */
  async frame(): Promise<Received> {
    const head = await this.#take(12);
    const view = new DataView(head.buffer);
    if (view.getUint32(6, true) !== crc32(head.subarray(0, 6))) throw new Error("wrong CRC");
    const words = (head[0] & 15) - 3;
    const options = await this.#take(4 * words);
    const numbers = Array.from(
      { length: words },
      (_, i) => new DataView(options.buffer).getUint32(4 * i, true),
    );
    const payload = await this.#take(view.getUint32(2, true));
    const length = numbers[0] ?? 0;
    return {
      flags: head[1],
      bits: head[10],
      options: numbers,
      context: decoder.decode(payload.subarray(0, length)),
      body: decoder.decode(payload.subarray(length)),
      hex: [...head, ...options, ...payload].map((byte) => byte.toString(16).padStart(2, "0"))
        .join(" "),
    };
  }

  async #take(length: number): Promise<Uint8Array> {
    while (this.#held.length < length) {
      const { value, done } = await soon("bytes of the worker", this.#conn.reader.read());
      if (done) throw new Error(`the worker closed\n${this.stderr}`);
      this.#held = new Uint8Array([...this.#held, ...value]);
    }
    const bytes = this.#held.slice(0, length);
    this.#held = this.#held.slice(length);
    return bytes;
  }

  /** Waits until it printed something to stderr that matches. */
  printed(pattern: RegExp): Promise<RegExpExecArray> {
    return until(`output ${pattern}`, () => pattern.exec(this.stderr) ?? undefined);
  }

  /** The supervisor dies. */
  async leave(): Promise<void> {
    await this.#conn.writer.close();
  }

  /** Tells it to stop. @returns its exit code */
  async stop(): Promise<number> {
    await this.send(frame({ flags: 0x09, payload: '{"stop":true}' }));
    return await this.ended();
  }

  /** Its exit code, once it has ended by itself. */
  async ended(): Promise<number> {
    const { code } = await soon("the end of the worker", this.#child.status);
    await this.#stderr;
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // Ended by itself.
    }
    await this.ended();
    await this.#conn.reader.cancel();
    // Closed already when the worker was gone.
    await this.#conn.writer.abort().catch(() => {});
  }
}
