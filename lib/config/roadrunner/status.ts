/**
 * The `status` section of RoadRunner: health on an address of its own.
 *
 * Invariant: types and schema; a value of this type came out of the schema complete.
 */

/** `status`, checked and complete. */
export interface StatusConfig {
  address: { host: string; port: number };
  unavailable_status_code: number;
  /** Milliseconds (RoadRunner's integer is seconds). */
  check_timeout: number;
}
