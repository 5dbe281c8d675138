/**
 * Signals to the daemon.
 *
 * | signal           | effect                                                       |
 * | ---------------- | ------------------------------------------------------------ |
 * | SIGTERM, SIGINT  | first: drain and stop; second: every budget shortened to     |
 * |                  | force_stop_timeout; third: everything is killed at once      |
 * | SIGHUP           | reload                                                       |
 * | SIGUSR1          | log files are opened anew                                    |
 * | SIGUSR2, SIGQUIT | caught and logged; nothing changes                           |
 *
 * Invariant: no signal that can be caught ends the daemon by its default action.
 */

import { onSignal } from "../os/signals.ts";
import type { Emit } from "../telemetry/events.ts";

/** What signals do. */
export interface SignalEffects {
  /** `times`: 1 for the first request to end, 2, 3 … for the following. */
  end(signal: string, times: number): void;
  reload(): void;
  reopenLogs(): void;
}

/** @returns takes all listeners back */
export function listenToSignals(effects: SignalEffects, emit: Emit): () => void {
  let ends = 0;
  const said = (signal: Deno.Signal, effect: string, run: () => void) =>
    onSignal(signal, () => {
      emit("signal_received", { signal, effect });
      run();
    });
  const end = (signal: Deno.Signal) =>
    onSignal(signal, () => {
      ends++;
      const effect = ends === 1
        ? "drain and stop"
        : ends === 2
        ? "shorten every budget"
        : "kill everything now";
      emit("signal_received", { signal, effect });
      effects.end(signal, ends);
    });
  const remove = [
    end("SIGTERM"),
    end("SIGINT"),
    said("SIGHUP", "reload", () => effects.reload()),
    said("SIGUSR1", "reopen log files", () => effects.reopenLogs()),
    said("SIGUSR2", "nothing", () => {}),
    said("SIGQUIT", "nothing", () => {}),
  ];
  return () => remove.forEach((one) => one());
}
