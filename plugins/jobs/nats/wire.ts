/**
 * The socket below the NATS client. The client's own leaves sockets without anybody who hears their
 * errors for moments (between its steps, after a refusal), and such an error ends the whole daemon;
 * and it cannot begin TLS behind the server's greeting here.
 *
 * | state      | entered by             | bytes                             |
 * | ---------- | ---------------------- | --------------------------------- |
 * | connecting | connect()              | are kept: the server's greeting   |
 * | open       | greeting, TLS          | are the client's                  |
 * | done       | close, error, discard  | are nobody's                      |
 *
 * Invariants: every read and write has somebody who hears how it ends; frames are written one after
 * another; a socket that is done is closed.
 */

import {
  checkOptions,
  type ConnectionOptions,
  extractProtocolMessage,
  INFO,
  NatsConnectionImpl,
  type Server,
  type ServerInfo,
  setTransportFactory,
  type Transport,
} from "@nats-io/transport-node";
import { Failure, messageOf } from "../../../lib/core/failure.ts";
import { VERSION } from "../../../lib/core/version.ts";

/** Contents of PEM files of those whom we trust. */
export interface Pem {
  ca?: string;
}

/** A greeting is a line; more than this is none. */
const MAX_GREETING = 64 * 1024;
/** Bytes of one read. */
const READ = 256 * 1024;

/** A client on sockets of ours. @throws Error */
export function connect(options: ConnectionOptions) {
  setTransportFactory({ factory: () => new Wire() });
  return NatsConnectionImpl.connect(options);
}

/** See the file's comment. */
export class Wire implements Transport {
  readonly lang = "supervisor";
  readonly version = VERSION;
  closeError?: Error;
  #socket: Deno.TcpConn | Deno.TlsConn | undefined;
  #secure = false;
  #connected = false;
  #done = false;
  /** The server's greeting, which the client reads too. */
  #first: Uint8Array = new Uint8Array(0);
  #frames: Uint8Array[] = [];
  #writing = false;
  readonly #closed = Promise.withResolvers<void | Error>();

  get isClosed(): boolean {
    return this.#done;
  }

  isEncrypted(): boolean {
    return this.#secure;
  }

  closed(): Promise<void | Error> {
    return this.#closed.promise;
  }

  /** @throws Error */
  async connect(server: Server, options: ConnectionOptions): Promise<void> {
    try {
      const { hostname, port } = server;
      const plain = this.#adopt(await Deno.connect({ hostname, port }));
      plain.setNoDelay();
      const info = await this.#greeting(plain);
      checkOptions(info, options);
      if (info.tls_required === true || options.tls) {
        const { ca } = options.tls as Pem ?? {};
        const caCerts = ca === undefined ? [] : [ca];
        const secure = await Deno.startTls(plain, { hostname, caCerts });
        await this.#adopt(secure).handshake();
        this.#secure = true;
      }
      this.#connected = true;
    } catch (error) {
      this.discard();
      throw error;
    }
  }

  send(frame: Uint8Array): void {
    if (this.#done) return;
    this.#frames.push(frame);
    if (!this.#writing) this.#write();
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    yield this.#first;
    const buffer = new Uint8Array(READ);
    try {
      while (!this.#done) {
        const count = await this.#socket!.read(buffer);
        if (count === null) throw new Error("the server closed the connection");
        // What is read may be kept for long, and the buffer is used again.
        yield buffer.slice(0, count);
      }
    } catch (error) {
      this.#end(error as Error);
    }
  }

  close(error?: Error): Promise<void> {
    this.#end(error);
    return Promise.resolve();
  }

  disconnect(): void {
    this.#end(undefined);
  }

  discard(): void {
    this.#done = true;
    this.#close();
  }

  /** @throws Error when nobody wants it any more */
  #adopt<T extends Deno.TcpConn | Deno.TlsConn>(socket: T): T {
    this.#socket = socket;
    if (!this.#done) return socket;
    this.#close();
    throw this.closeError ?? new Error("it came too late");
  }

  /** The server's first line. @throws Error */
  async #greeting(socket: Deno.TcpConn): Promise<ServerInfo> {
    const buffer = new Uint8Array(MAX_GREETING);
    for (let length = 0; length < buffer.length;) {
      const count = await socket.read(buffer.subarray(length));
      if (count === null) throw new Error("the server closed the connection");
      length += count;
      this.#first = buffer.slice(0, length);
      const line = extractProtocolMessage(this.#first);
      if (line === "") continue;
      const json = INFO.exec(line)?.[1];
      if (json !== undefined) return JSON.parse(json);
      break;
    }
    throw new Error("it is no NATS server");
  }

  /** All frames, one after another. */
  async #write(): Promise<void> {
    this.#writing = true;
    try {
      for (let frame = this.#frames.shift(); frame !== undefined; frame = this.#frames.shift()) {
        for (let at = 0; at < frame.length;) {
          at += await this.#socket!.write(at === 0 ? frame : frame.subarray(at));
        }
      }
    } catch (error) {
      this.#end(error as Error);
    }
    this.#writing = false;
  }

  #end(error: Error | undefined): void {
    if (this.#done) return;
    this.#done = true;
    this.closeError ??= error;
    this.#close();
    // The client itself knows that it could not connect.
    if (this.#connected) this.#closed.resolve(this.closeError);
  }

  #close(): void {
    this.#frames = [];
    try {
      this.#socket?.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error; // closed already
    }
    this.#socket = undefined;
  }
}

/** What PEM files say. @throws Failure */
export async function readPem(
  what: string,
  path: string | undefined,
): Promise<string | undefined> {
  if (path === undefined) return undefined;
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    throw new Failure(`could not read ${what} ${JSON.stringify(path)}: ${messageOf(error)}`, {
      fix: "correct the path, or its permissions",
      cause: error,
    });
  }
}
