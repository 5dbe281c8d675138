/**
 * The socket below the NATS client: its own leaves sockets without anybody who hears their errors
 * for moments (between its steps, after a refusal), and such an error ends the whole daemon.
 *
 * | state      | entered by             | bytes                             |
 * | ---------- | ---------------------- | --------------------------------- |
 * | connecting | connect()              | are kept: the server's greeting   |
 * | open       | greeting, TLS          | are the client's                  |
 * | done       | close, error, discard  | are nobody's                      |
 *
 * Invariant: every socket has, as long as it lives, somebody who hears its error and its end.
 */

import { connect as connectPlain, type Socket } from "node:net";
import { connect as connectSecure } from "node:tls";
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

/** Contents of PEM files. */
export interface Pem {
  ca?: string;
  cert?: string;
  key?: string;
}

/** A greeting is a line; more than this is none. */
const MAX_GREETING = 1024 * 1024;

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
  #socket: Socket | undefined;
  #secure = false;
  #connected = false;
  #done = false;
  #chunks: Uint8Array[] = [];
  /** Resolved when there is something to read, or the end. */
  #news = Promise.withResolvers<void>();
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
      const plain = await this.#adopt(connectPlain({ host: hostname, port, noDelay: true }));
      const info = await this.#greeting();
      checkOptions(info, options);
      const wanted = options.tls !== undefined && options.tls !== null;
      if (info.tls_required === true || wanted) {
        plain.removeListener("data", this.#read);
        const pem = options.tls as Pem | undefined;
        const servername = server.tlsName || hostname;
        await this.#adopt(connectSecure({ socket: plain, host: hostname, servername, ...pem }));
        this.#secure = true;
      }
      this.#connected = true;
    } catch (error) {
      this.#socket?.destroy();
      throw error;
    }
  }

  send(frame: Uint8Array): void {
    // What cannot be written is noticed by whoever hears the socket's error.
    if (!this.#done) this.#socket?.write(frame);
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    for (;;) {
      const chunks = this.#chunks;
      this.#chunks = [];
      for (const chunk of chunks) yield chunk;
      if (this.#chunks.length > 0) continue;
      if (this.#done) return;
      await this.#news.promise;
      this.#news = Promise.withResolvers();
    }
  }

  close(error?: Error): Promise<void> {
    this.#end(error, true);
    return Promise.resolve();
  }

  disconnect(): void {
    this.#end(undefined, false);
  }

  discard(): void {
    this.#done = true;
    this.#news.resolve();
    this.#socket?.destroy();
  }

  /** Resolves when it is connected. */
  #adopt(socket: Socket): Promise<Socket> {
    this.#socket = socket;
    return new Promise((resolve, reject) => {
      let failure: Error | undefined;
      socket.on("error", (error) => failure = error);
      socket.on("data", this.#read);
      socket.on("close", () => {
        const error = failure ?? new Error("the server closed the connection");
        reject(error);
        if (this.#socket === socket) this.#end(error, false);
      });
      const name = this.#isSecure(socket) ? "secureConnect" : "connect";
      socket.once(name, () => {
        if (!this.#done) return resolve(socket);
        socket.destroy();
      });
    });
  }

  #isSecure(socket: Socket): boolean {
    return "encrypted" in socket;
  }

  readonly #read = (chunk: Uint8Array): void => {
    this.#chunks.push(chunk);
    this.#news.resolve();
  };

  /** The server's first line; the client reads it too. @throws Error */
  async #greeting(): Promise<ServerInfo> {
    for (;;) {
      const all = new Uint8Array(this.#chunks.reduce((sum, { length }) => sum + length, 0));
      this.#chunks.reduce((at, chunk) => (all.set(chunk, at), at + chunk.length), 0);
      const line = extractProtocolMessage(all);
      const json = line === "" ? undefined : INFO.exec(line)?.[1];
      if (json !== undefined) return JSON.parse(json);
      if (line !== "" || all.length > MAX_GREETING) throw new Error("it is no NATS server");
      if (this.#done) throw this.closeError ?? new Error("the server closed the connection");
      await this.#news.promise;
      this.#news = Promise.withResolvers();
    }
  }

  #end(error: Error | undefined, flushed: boolean): void {
    if (this.#done) return;
    this.#done = true;
    this.closeError ??= error;
    this.#news.resolve();
    if (flushed && error === undefined) this.#socket?.end(() => this.#socket?.destroy());
    else this.#socket?.destroy();
    // The client itself knows that it could not connect.
    if (this.#connected) this.#closed.resolve(this.closeError);
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
