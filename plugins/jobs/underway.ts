/** Counts what is underway, for whoever waits until nothing is. */
export class Underway {
  #size = 0;
  #idle: PromiseWithResolvers<void> | undefined;

  get size(): number {
    return this.#size;
  }

  /** Resolves when nothing is. */
  idle(): Promise<void> {
    if (this.#size === 0) return Promise.resolve();
    this.#idle ??= Promise.withResolvers();
    return this.#idle.promise;
  }

  /** What `work` gives; it is underway until then. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    this.#size++;
    try {
      return await work();
    } finally {
      if (--this.#size === 0) {
        this.#idle?.resolve();
        this.#idle = undefined;
      }
    }
  }
}
