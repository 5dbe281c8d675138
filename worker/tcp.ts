/**
 * Workers for TCP servers: what happens on connections, one event at a time.
 *
 * Events of one connection may reach different workers; `uuid` says whose they are.
 *
 * Invariant: every event is answered, CLOSE too.
 */

import { run, type WorkerOptions } from "./run.ts";
import type { Turn } from "./turn.ts";

/** What happened on a connection. */
export interface TcpEvent {
  /** A client connected; it sent something (up to the delimiter, and with it); it is gone. */
  event: "CONNECTED" | "DATA" | "CLOSE";
  /** `ip:port` */
  remoteAddr: string;
  /** Name of the server in the configuration. */
  server: string;
  /** Of the connection. */
  uuid: string;
  data: Uint8Array;
}

/** Nothing: read on. Bytes or a text: write them, read on. */
export type TcpAnswer = void | string | Uint8Array | {
  write?: string | Uint8Array;
  /** Close the connection, after what is to be written. */
  close?: boolean;
};

/** Answers an event. */
export type TcpHandler = (event: TcpEvent) => TcpAnswer | Promise<TcpAnswer>;

const NOTHING = new Uint8Array(0);

const encoder = new TextEncoder();

/** Answers events until the supervisor says stop; the process ends then. */
export function tcp(handler: TcpHandler, options: WorkerOptions = {}): Promise<never> {
  return run("tcp", (turn) => exchange(turn, handler), options);
}

async function exchange(turn: Turn, handler: TcpHandler): Promise<void> {
  const context = JSON.parse(new TextDecoder().decode(turn.context));
  const { event, remote_addr: remoteAddr, server, uuid } = context;
  const answer = await handler({ event, remoteAddr, server, uuid, data: turn.body });
  const { write, close } = partsOf(answer);
  await turn.answer(0, encoder.encode(verbOf(write, close)), write ?? NOTHING);
}

function partsOf(answer: TcpAnswer): { write?: Uint8Array; close: boolean } {
  if (answer === undefined) return { close: false };
  if (typeof answer === "string" || answer instanceof Uint8Array) {
    return { write: bytesOf(answer), close: false };
  }
  const { write, close = false } = answer;
  return { write: write === undefined ? undefined : bytesOf(write), close };
}

function bytesOf(text: string | Uint8Array): Uint8Array {
  return typeof text === "string" ? encoder.encode(text) : text;
}

function verbOf(write: Uint8Array | undefined, close: boolean): string {
  if (write === undefined) return close ? "CLOSE" : "CONTINUE";
  return close ? "WRITECLOSE" : "WRITE";
}
