/**
 * What `doctor` asks of certificates: whether they could be served, and for how long clients take them.
 *
 * Invariant: what is tried is what a start would do, on a port of its own that nobody is told of.
 */

import type { X509Certificate } from "node:crypto";
import { advice, type Check, fail, type Finding, ok, together } from "../core/check.ts";
import type { Clock } from "../core/clock.ts";
import { Failure } from "../core/failure.ts";
import { listen } from "./listen.ts";
import { readTlsPair } from "./tls_pair.ts";

const DAY = 24 * 3_600_000;

/** Time before its end in which a certificate should be replaced. */
const SOON = 14 * DAY;

/** Where a pair of PEM files is named, and what they are. */
export interface NamedPair {
  /** The key in the configuration: `http.ssl`. */
  field: string;
  cert: string;
  key: string;
}

/** Certificates and keys: readable, belonging together, valid. */
export function tlsCheck(id: string, pairs: readonly NamedPair[], clock: Clock): Check[] {
  if (pairs.length === 0) return [];
  const run = async () => {
    const findings = await Promise.all(pairs.map((pair) => pairFinding(pair, clock)));
    return together(findings, findings.map(({ detail }) => detail).join("; "));
  };
  return [{ id, title: "certificates", run }];
}

async function pairFinding({ field, ...files }: NamedPair, clock: Clock): Promise<Finding> {
  try {
    const pair = readTlsPair(files, field);
    listen({ hostname: "127.0.0.1", port: 0, tls: pair }, []).close();
    // Only doctor needs it: no daemon loads it for that.
    const { X509Certificate } = await import("node:crypto");
    return validity(field, files.cert, new X509Certificate(pair.cert), clock.wall());
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const named = error.message.includes(field) ? error.message : `${field}: ${error.message}`;
    return fail(named, error.fix);
  }
}

function validity(
  field: string,
  file: string,
  { validFrom, validTo }: X509Certificate,
  wall: number,
): Finding {
  const [from, to] = [new Date(validFrom), new Date(validTo)];
  const fix = `put a new certificate into "${file}", then \`supervisor reload\``;
  const until = dayOf(to);
  if (wall >= to.getTime()) return fail(`${field}: expired on ${until}, clients refuse it`, fix);
  if (wall < from.getTime()) {
    const detail = `${field}: not valid before ${dayOf(from)}, clients refuse it`;
    return fail(detail, "correct the clock of this machine, or use another certificate");
  }
  if (to.getTime() - wall < SOON) return advice(`${field}: valid only until ${until}`, fix);
  return ok(`${field} until ${until}`);
}

function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10);
}
