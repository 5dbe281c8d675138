/**
 * How long the path of a Unix socket may be.
 *
 * Invariant: the one place that knows; counted in bytes, as the system does.
 */

/** Longest path of a Unix socket, in bytes (sun_path without its end). */
export const MAX_SOCKET_PATH = 107;

/** Length of a path as the system counts it. */
export function socketPathBytes(path: string): number {
  return new TextEncoder().encode(path).length;
}
