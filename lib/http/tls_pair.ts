/** Reading certificate and key from their files. */

import { Failure, messageOf } from "../core/failure.ts";
import type { TlsPair } from "./front.ts";

/**
 * The pair in two PEM files.
 * @param field what has the keys `cert` and `key` in the configuration, for errors: `http.ssl`
 * @throws Failure when one cannot be read
 */
export function readTlsPair({ cert, key }: { cert: string; key: string }, field: string): TlsPair {
  return { cert: readPem(cert, `${field}.cert`), key: readPem(key, `${field}.key`) };
}

function readPem(path: string, field: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw new Failure(`cannot read ${path} (${field}): ${messageOf(error)}`, {
      fix: "name a PEM file that the daemon's user can read",
      cause: error,
    });
  }
}
