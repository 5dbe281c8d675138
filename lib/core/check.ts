/**
 * One thing that `doctor` looks at. Every floor offers the checks of what it knows.
 *
 * | level    | means                                                         |
 * | -------- | ------------------------------------------------------------- |
 * | `ok`     | as it should be                                               |
 * | `advice` | works, but not as well or not for as long as it could         |
 * | `fail`   | a start, a deploy or a restart would fail                     |
 *
 * Invariant: a check only looks, is bounded, and never stops the others.
 */

import { Failure, messageOf } from "./failure.ts";

/** What a check found. */
export interface Finding {
  level: "ok" | "advice" | "fail";
  detail: string;
  /** What to do, unless it is ok. */
  fix?: string;
}

/** One check. */
export interface Check {
  id: string;
  title: string;
  run(): Finding | Promise<Finding>;
}

/** A check with its result. */
export interface Checked extends Finding {
  id: string;
  title: string;
}

export function ok(detail: string): Finding {
  return { level: "ok", detail };
}

export function advice(detail: string, fix?: string): Finding {
  return { level: "advice", detail, ...(fix === undefined ? {} : { fix }) };
}

export function fail(detail: string, fix?: string): Finding {
  return { level: "fail", detail, ...(fix === undefined ? {} : { fix }) };
}

/** The worst of several findings about one thing, with the details of all of that level. */
export function together(findings: readonly Finding[], allOk: string): Finding {
  for (const level of ["fail", "advice"] as const) {
    const those = findings.filter((finding) => finding.level === level);
    if (those.length === 0) continue;
    const fix = those.find((finding) => finding.fix !== undefined)?.fix;
    const detail = those.map((finding) => finding.detail).join("; ");
    return level === "fail" ? fail(detail, fix) : advice(detail, fix);
  }
  return ok(allOk);
}

/** Runs a check; what it throws is what it found. */
export async function runCheck({ id, title, run }: Check): Promise<Checked> {
  try {
    return { id, title, ...await run() };
  } catch (error) {
    if (error instanceof Failure) return { id, title, ...fail(error.message, error.fix) };
    return { id, title, ...fail(`internal error: ${messageOf(error)}`) };
  }
}
