/**
 * Signals: their names, and those sent to us.
 *
 * Signals that arrive close together reach a listener once (the kernel keeps one of a kind), and only
 * when the running turn of the event loop is over: count by time, not by calls. The first listener of
 * the process starts a thread of the runtime; a signal that arrives in the milliseconds until it is up
 * is lost, so listeners are set before anybody is told our pid.
 */

/** Names by number, 1–31; the same on x86-64 and arm64. */
const NAMES =
  ("HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD " +
    "CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS").split(" ");

/** `SIGTERM` for 15; `SIG35` for a real-time signal. */
export function signalName(number: number): string {
  const name = NAMES[number - 1];
  return name === undefined ? `SIG${number}` : `SIG${name}`;
}

/**
 * Calls `run` whenever the signal arrives, instead of what the signal does by default.
 *
 * @returns takes the listener back; soon after the last one the default returns. A listener alone does
 *   not keep the process alive.
 * @throws TypeError for SIGKILL, SIGSTOP and the signals of a broken program
 */
export function onSignal(name: Deno.Signal, run: () => void): () => void {
  let listening = true;
  Deno.addSignalListener(name, run);
  return () => {
    if (!listening) return;
    listening = false;
    Deno.removeSignalListener(name, run);
  };
}
