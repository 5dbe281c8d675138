/**
 * Processes for people: a heading, then one a line.
 *
 * Invariant: command lines are text of strangers: they never break the line.
 */

import { harmless } from "./paint.ts";

/** `heading`, then every member with its number. */
export function treeText(
  heading: string,
  members: readonly { pid: number; command: string }[],
): string {
  const lines = members.map(({ pid, command }) => `  ${pid} ${harmless(command)}`);
  return `${[harmless(heading), ...lines].join("\n")}\n`;
}
