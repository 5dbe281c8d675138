/**
 * The connections to one RabbitMQ, shared by its pipelines: one to publish, one for all the rest.
 *
 * RabbitMQ stops reading from whoever publishes when it runs out of memory or disk; on a connection of
 * their own, acknowledgements still reach it, and make room.
 *
 * Invariant: both live and end together; after the last who borrowed them they are closed; a peer that
 * does not answer is left after GOODBYE, its sockets with it.
 */

// @ts-types="@types/amqplib"
import { type ChannelModel, connect } from "amqplib";
import type { AmqpBroker } from "../../../lib/config/roadrunner/drivers/amqp.ts";
import { type Clock, within } from "../../../lib/core/clock.ts";
import { messageOf } from "../../../lib/core/failure.ts";

/** Seconds between heartbeats, where the address names none; lost after two without a sign. */
const HEARTBEAT = 5;
/** How long opening may stand still, ms; below the link's own limit, so that it leaves nothing. */
const SILENCE = 4000;
/** How long a close is waited for, ms. */
export const GOODBYE = 1000;
/** Largest frame, as RabbitMQ's own default. */
const FRAME_MAX = 131_072;

/** What of the library has no type: what ends a connection that does not answer. */
interface Insides {
  stream?: { destroy(error: Error): void };
  heartbeater?: { clear(): void } | null;
}

/** See the file's comment. */
export class AmqpConnection {
  /** Why RabbitMQ takes no messages now. */
  blocked: string | undefined;
  readonly lost: Promise<unknown>;
  readonly #clock: Clock;
  readonly #lose: (reason: unknown) => void;

  constructor(readonly main: ChannelModel, readonly publisher: ChannelModel, clock: Clock) {
    this.#clock = clock;
    const { promise, resolve } = Promise.withResolvers<unknown>();
    this.lost = promise;
    this.#lose = resolve;
    for (const model of [main, publisher]) {
      // "close" follows, with less to say.
      model.on("error", resolve);
      model.on("close", (error) => resolve(error ?? new Error("the connection was closed")));
    }
    publisher.on("blocked", (reason) => this.blocked = String(reason));
    publisher.on("unblocked", () => this.blocked = undefined);
  }

  /** Of RabbitMQ. */
  get version(): string {
    return this.main.connection.serverProperties.version;
  }

  /** It cannot be used any more, though nobody has said so. */
  lose(reason: unknown): void {
    this.#lose(reason);
  }

  async close(): Promise<void> {
    const both = [this.main, this.publisher];
    await within(this.#clock, GOODBYE, Promise.all(both.map(goodbye)));
    for (const model of both) destroy(model);
    this.#lose(new Error("the connection was closed"));
  }
}

/** Resolves when it is closed; RabbitMQ's answer may get lost in the end of the socket. */
function goodbye(model: ChannelModel): Promise<void> {
  return new Promise((resolve) => {
    model.once("close", () => resolve());
    model.close().then(resolve, () => resolve()); // one that is closed already refuses
  });
}

function destroy({ connection }: ChannelModel): void {
  const { stream, heartbeater } = connection as Insides;
  heartbeater?.clear();
  // Told as an error, so that the library lets go of whoever still waits for an answer.
  stream?.destroy(new Error("the connection was closed"));
}

/** @throws why there is none */
async function dial(broker: AmqpBroker, clock: Clock): Promise<AmqpConnection> {
  const { url, socket } = await optionsOf(broker);
  const both = await Promise.allSettled([connect(url, socket), connect(url, socket)]);
  const open = both.flatMap((one) => one.status === "fulfilled" ? [one.value] : []);
  if (open.length === 2) return new AmqpConnection(open[0], open[1], clock);
  for (const model of open) {
    model.on("error", () => {}); // nobody needs it
    destroy(model);
  }
  const [reason] = both.flatMap((one) => one.status === "rejected" ? [one.reason] : []);
  if (!messageOf(reason).includes("UNKNOWN")) throw reason;
  // So the runtime calls a handshake that it refused.
  throw new Error("the TLS handshake failed: see who signed its certificate, and tls.root_ca", {
    cause: reason,
  });
}

async function optionsOf({ addr, tls }: AmqpBroker) {
  const url = new URL(addr);
  const isTls = url.protocol === "amqps:";
  const named = Number(url.searchParams.get("heartbeat"));
  const read = (path: string | undefined) => path && Deno.readTextFile(path);
  return {
    url: {
      protocol: isTls ? "amqps" : "amqp",
      hostname: url.hostname.replace(/^\[|\]$/g, ""),
      port: Number(url.port) || (isTls ? 5671 : 5672),
      username: decodeURIComponent(url.username) || "guest",
      password: decodeURIComponent(url.password) || (url.username === "" ? "guest" : ""),
      // Still encoded, as the library wants it; none and an empty one are the default.
      vhost: url.pathname.slice(1) || "/",
      heartbeat: named >= 1 ? Math.floor(named) : HEARTBEAT,
      frameMax: FRAME_MAX,
    },
    socket: {
      noDelay: true,
      timeout: SILENCE,
      clientProperties: { connection_name: "supervisor", product: "supervisor" },
      ...isTls && {
        ca: await read(tls?.root_ca),
        cert: await read(tls?.cert),
        key: await read(tls?.key),
      },
    },
  };
}

/** Where it is, for messages: no user, no password. */
export function whomOf({ addr }: AmqpBroker): string {
  const { hostname, port, protocol } = new URL(addr);
  return `RabbitMQ at ${hostname}:${port || (protocol === "amqps:" ? 5671 : 5672)}`;
}

interface Shared {
  readonly opening: Promise<AmqpConnection>;
  connection?: AmqpConnection;
  users: number;
}

/** What several pipelines share. */
export class Connections implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #shared = new Map<string, Shared>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** To be given back once. @throws why there is none */
  async borrow(broker: AmqpBroker): Promise<AmqpConnection> {
    const key = JSON.stringify(broker);
    const shared = this.#shared.get(key) ?? this.#open(key, broker);
    shared.users++;
    return await shared.opening;
  }

  async giveBack(connection: AmqpConnection): Promise<void> {
    const [key, shared] = [...this.#shared].find(([, one]) => one.connection === connection) ?? [];
    // One that was lost is closed already.
    if (key === undefined || --shared!.users > 0) return;
    this.#shared.delete(key);
    await connection.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...this.#shared.values()];
    this.#shared.clear();
    const opened = await Promise.allSettled(all.map(({ opening }) => opening));
    await Promise.all(
      opened.map((one) => one.status === "fulfilled" ? one.value.close() : undefined),
    );
  }

  #open(key: string, broker: AmqpBroker): Shared {
    const shared: Shared = { opening: dial(broker, this.#clock), users: 0 };
    this.#shared.set(key, shared);
    const forget = () => {
      // Whoever comes next dials anew.
      if (this.#shared.get(key) === shared) this.#shared.delete(key);
    };
    shared.opening.then(async (connection) => {
      shared.connection = connection;
      await connection.lost;
      forget();
      await connection.close();
    }, forget);
    return shared;
  }
}
