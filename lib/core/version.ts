/**
 * The version of this program.
 *
 * Invariant: the same as in deno.json; a unit test compares them.
 */
export const VERSION = "0.1.0";
