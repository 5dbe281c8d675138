/**
 * Callers who wait for the same thing.
 *
 * Invariant: each is answered once, by the first answer after it came.
 */
export class Pending<T> {
  #waiting: PromiseWithResolvers<T>[] = [];

  /** One more caller. */
  add(): Promise<T> {
    const caller = Promise.withResolvers<T>();
    this.#waiting.push(caller);
    return caller.promise;
  }

  /** Answers all. */
  resolve(value: T): void {
    this.take().resolve(value);
  }

  /** Refuses all. */
  reject(reason: unknown): void {
    this.take().reject(reason);
  }

  /** All who wait now, to be answered later; who comes after is not among them. */
  take(): { resolve(value: T): void; reject(reason: unknown): void } {
    const taken = this.#waiting;
    this.#waiting = [];
    return {
      resolve: (value) => taken.forEach((caller) => caller.resolve(value)),
      reject: (reason) => taken.forEach((caller) => caller.reject(reason)),
    };
  }
}
