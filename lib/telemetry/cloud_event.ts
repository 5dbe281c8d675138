/**
 * An event as a CloudEvent 1.0 in structured JSON, and the signature that goes with it.
 *
 * Invariant: pure. `source` and `id` together name one event of one daemon for ever, so that a receiver
 * can tell what it was sent twice.
 */

import type { EventRecord } from "./events.ts";

/** Facts that name what an event is about, the most precise first. */
const SUBJECTS = ["worker", "process", "pool", "release"] as const;

const encoder = new TextEncoder();

/** Whose event it is. */
export interface Origin {
  application: string;
  /** Of this daemon alone. */
  life: string;
}

/** The body of a webhook. */
export function envelope(record: EventRecord, { application, life }: Origin): string {
  const { at, seq, level, event, data } = record;
  const about = SUBJECTS.map((name) => data[name]).find((value) => typeof value === "string");
  return JSON.stringify({
    specversion: "1.0",
    id: `${life}-${seq}`,
    source: `/supervisor/${application}`,
    type: `supervisor.${event}`,
    ...(about === undefined ? {} : { subject: about }),
    time: at,
    datacontenttype: "application/json",
    level,
    data,
  });
}

/** `sha256=…`: HMAC-SHA256 of the body, in hexadecimal. */
export async function signature(secret: string, body: string): Promise<string> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret), algorithm, false, [
    "sign",
  ]);
  const mac = await crypto.subtle.sign("HMAC", key, encoder.encode(body));
  return `sha256=${new Uint8Array(mac).toHex()}`;
}
