/**
 * Catches what nobody caught, so that a bug in one corner is an event and not an outage.
 *
 * Invariant: an uncaught error never ends the daemon; it is always told and counted.
 */

import { messageOf } from "../core/failure.ts";
import type { Emit } from "../telemetry/events.ts";

/** What is caught so far. */
export interface Strays {
  count(): number;
  remove(): void;
}

/** Begins to catch uncaught errors and unhandled rejections of this process. */
export function catchStrays(emit: Emit): Strays {
  let count = 0;
  const tell = (where: string, error: unknown) => {
    count++;
    const stack = error instanceof Error ? error.stack : undefined;
    emit("internal_error", { where, error: messageOf(error), stack });
  };
  const onError = (event: ErrorEvent) => {
    event.preventDefault();
    tell("uncaught error", event.error ?? event.message);
  };
  const onRejection = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    tell("unhandled rejection", event.reason);
  };
  globalThis.addEventListener("error", onError);
  globalThis.addEventListener("unhandledrejection", onRejection);
  return {
    count: () => count,
    remove() {
      globalThis.removeEventListener("error", onError);
      globalThis.removeEventListener("unhandledrejection", onRejection);
    },
  };
}
