/**
 * What a reload changes, or would change.
 *
 * Invariant: pure; every change is named with how it takes effect, refused ones with their reason.
 */

import type { Effect } from "../../config/config.ts";
import type { ReloadResult } from "../../control/operations.ts";
import { harmless, type Paint, type Style } from "./paint.ts";
import { table } from "./table.ts";

const EFFECTS: Record<Effect, { text: string; style: Style }> = {
  live: { text: "live", style: "green" },
  generation: { text: "new generation", style: "cyan" },
  listener: { text: "new listener", style: "cyan" },
  refused: { text: "refused", style: "red" },
};

/** @param tense whether it was done or is only planned */
export function changesText(
  result: ReloadResult,
  tense: "done" | "planned",
  paint: Paint,
): string {
  const { changes, warnings, errors, active_release_id } = result;
  const lines: string[] = [];
  if (changes.length === 0) lines.push("nothing has changed");
  else {
    const rows = changes.map(({ field, effect, reason }) => [EFFECTS[effect], field, reason]);
    lines.push(table(["EFFECT", "FIELD", "REASON"], rows, paint).trimEnd());
  }
  if (tense === "done" && active_release_id) {
    lines.push(`live: ${paint("bold", harmless(active_release_id))}`);
  }
  for (const text of warnings) lines.push(`${paint("yellow", "warning:")} ${harmless(text)}`);
  for (const text of errors) lines.push(`${paint("red", "error:")} ${harmless(text)}`);
  return `${lines.join("\n")}\n`;
}
