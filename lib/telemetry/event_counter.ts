/**
 * Counts events by name, on their way to the journal.
 *
 * Invariant: what is emitted is passed on unchanged, whatever becomes of the count.
 */

import type { Emit } from "./events.ts";
import type { Metrics } from "./metrics.ts";

/** `emit`, counted in `supervisor_events_total`. */
export function countEvents(emit: Emit, metrics: Metrics): Emit {
  const events = metrics.counter({
    name: "supervisor_events_total",
    help: "Events by name",
    labels: ["event"],
  });
  return (event, data) => {
    events.add(1, event);
    emit(event, data);
  };
}
