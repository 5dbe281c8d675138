/**
 * An abort signal that says how many listen to it.
 *
 * Invariant: `listeners` counts those that would still be called; a wait that ended must not be one
 * of them, or a signal that lives as long as the daemon collects them for ever.
 */
export class CountedSignal {
  /** What an abort gives as reason. */
  readonly reason = new Error("the signal's reason");
  readonly #controller = new AbortController();
  readonly #listening = new Set<unknown>();

  constructor() {
    const { signal } = this.#controller;
    const { addEventListener, removeEventListener } = signal;
    const listening = this.#listening;
    signal.addEventListener = function (...args: unknown[]) {
      listening.add(args[1]);
      Reflect.apply(addEventListener, signal, args);
    };
    signal.removeEventListener = function (...args: unknown[]) {
      listening.delete(args[1]);
      Reflect.apply(removeEventListener, signal, args);
    };
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get listeners(): number {
    return this.#listening.size;
  }

  abort(): void {
    this.#controller.abort(this.reason);
    // All of ours listen with `once`.
    this.#listening.clear();
  }
}
