/**
 * The systemd service that a process is of, and how long systemd lets it stop.
 *
 * Invariant: only asks; where there is no systemd, or it does not answer, nothing is known.
 */

import type { Clock } from "../core/clock.ts";
import { cgroupOf } from "./proc.ts";
import { runTool } from "./tool.ts";

/** How long systemctl may take, ms. */
const TOOL_LIMIT = 3000;

/** The words of systemd.time(7), in milliseconds. */
const UNITS: Readonly<Record<string, number>> = {
  us: 0.001,
  ms: 1,
  s: 1000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
  month: 30.44 * 86_400_000,
  y: 365.25 * 86_400_000,
};

/** The systemd service of a process; a login session is none. */
export function unitOf(pid: number): string | undefined {
  const unit = /\/([^/\n]+\.service)(?:\/|$)/m.exec(cgroupOf(pid) ?? "")?.[1];
  return unit?.startsWith("user@") ? undefined : unit;
}

/**
 * Milliseconds after which systemd kills what has not stopped; Infinity: never, or the service asks for
 * more time itself (`Type=notify`). Undefined: systemd does not say.
 */
export async function stopTimeOf(unit: string, clock: Clock): Promise<number | undefined> {
  const argv = ["systemctl", "show", "--property=Type", "--property=TimeoutStopUSec", unit];
  const end = await runTool(argv, TOOL_LIMIT, clock);
  if (end?.code !== 0) return undefined;
  if (/^Type=notify/m.test(end.stdout)) return Infinity;
  const said = /^TimeoutStopUSec=(.+)$/m.exec(end.stdout)?.[1];
  return said === undefined ? undefined : timeOf(said);
}

/** A span as systemd prints it: `1min 30s`, `infinity`. */
function timeOf(span: string): number | undefined {
  if (span === "infinity") return Infinity;
  let sum = 0;
  for (const part of span.split(" ")) {
    const [, number, unit] = /^([\d.]+)([a-z]+)$/.exec(part) ?? [];
    const factor = UNITS[unit];
    if (factor === undefined) return undefined;
    sum += Number(number) * factor;
  }
  return sum;
}
