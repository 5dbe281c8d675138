/**
 * Who wants to hear when something looks different.
 *
 * Invariant: told once for each difference, in the turn in which it arises; a listener that throws
 * costs the others nothing.
 */
export class Observers<T> {
  readonly #listeners = new Set<(subject: T) => void>();
  #told: string | undefined;

  /** Adds a listener; the returned function takes it back. */
  add(listener: (subject: T) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tells all, unless `appearance` is what they were told last. */
  tell(subject: T, appearance: string, failed: (error: unknown) => void): void {
    if (appearance === this.#told) return;
    this.#told = appearance;
    for (const listener of [...this.#listeners]) {
      try {
        listener(subject);
      } catch (error) {
        failed(error);
      }
    }
  }
}
