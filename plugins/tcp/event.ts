/**
 * What workers are told about a connection, and what they say to do (reference of the protocol,
 * chapter 9).
 *
 * Invariant: a text that is no verb is none, whatever it is.
 */

/** What happens on a connection. */
export type TcpEvent = "CONNECTED" | "DATA" | "CLOSE";

/** What a worker wants done. */
export type Verb = "CONTINUE" | "WRITE" | "WRITECLOSE" | "CLOSE";

const VERBS: readonly Verb[] = ["CONTINUE", "WRITE", "WRITECLOSE", "CLOSE"];
const LONGEST_VERB = 10;
/** Characters of an answer in a log. */
const SHOWN = 60;

/** Whose event it is. */
export interface Origin {
  /** `ip:port` */
  remote_addr: string;
  /** Name of the server. */
  server: string;
  uuid: string;
}

/** The context of an event. */
export function contextOf({ remote_addr, server, uuid }: Origin, event: TcpEvent): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ remote_addr, server, uuid, event }));
}

/** The verb of an answer; undefined: it is none. */
export function verbOf(context: Uint8Array): Verb | undefined {
  if (context.length > LONGEST_VERB) return undefined;
  const text = new TextDecoder().decode(context);
  return VERBS.find((verb) => verb === text);
}

/** An answer that is no verb, for people. */
export function shown(context: Uint8Array): string {
  const text = new TextDecoder().decode(context.subarray(0, SHOWN));
  return JSON.stringify(context.length > SHOWN ? `${text}…` : text);
}
