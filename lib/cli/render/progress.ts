/**
 * A deploy as it happens, and how it ended.
 *
 * Invariant: pure; one line for each step.
 */

import type { DeployResult, Progress } from "../../control/operations.ts";
import { took } from "./amount.ts";
import { harmless, type Paint } from "./paint.ts";

/** Columns of the time before a step. */
const TIME_WIDTH = 7;

/** `  0.4 s  web is up on port 18182` */
export function stepText({ ms, step, message }: Progress, paint: Paint): string {
  const text = harmless(message);
  const said = step === "live" ? paint("green", text) : text;
  return `${paint("dim", took(ms).padStart(TIME_WIDTH))}  ${said}\n`;
}

/** What went live, and what did not go well. */
export function liveText(result: DeployResult, paint: Paint): string {
  const { active_release_id, previous_release_id, ms, errors, drained } = result;
  const before = previous_release_id === null ? "" : `, before: ${harmless(previous_release_id)}`;
  const rest = drained === undefined ? "" : drained ? ", drained" : ", not yet drained";
  const id = paint("bold", harmless(active_release_id));
  const lines = [`${id} is live after ${took(ms)}${before}${rest}`];
  for (const error of errors) lines.push(`${paint("red", "error:")} ${harmless(error)}`);
  return `${lines.join("\n")}\n`;
}
