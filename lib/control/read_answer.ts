/**
 * What a daemon's answer means to the one who asked.
 *
 * Invariant: pure; whatever came is a value of ours, the daemon's own Failure, or a Failure about it.
 */

import { Exit, Failure, failureFromJson, type FailureJson } from "../core/failure.ts";

/** The answer in a text. @throws Failure the daemon's own, or that nobody of ours spoke */
export function asAnswer(text: string, ok: boolean): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw notOurs(error);
  }
  if (!ok && !isFailure(value)) throw notOurs();
  return orFailure(value);
}

/** The value. @throws Failure when it is one */
export function orFailure(value: unknown): unknown {
  if (isFailure(value)) throw failureFromJson(value);
  return value;
}

function isFailure(value: unknown): value is FailureJson {
  const { status, error } = (value ?? {}) as Record<string, unknown>;
  return status === "error" && typeof error === "string";
}

/** The connection ended too early. */
export function ended(route: string, cause?: unknown): Failure {
  return new Failure(`the daemon ended before it answered "${nameOf(route)}"`, {
    fix: "look at its log for the reason, and at `supervisor status` for what is so now",
    cause,
  });
}

function notOurs(cause?: unknown): Failure {
  return new Failure("what answers at the control socket is no supervisor", {
    exit: Exit.noDaemon,
    fix: "look at what listens there, and at control.socket",
    cause,
  });
}

/** A route without its query. */
export function nameOf(route: string): string {
  return route.split("?")[0];
}
