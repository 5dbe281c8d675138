/**
 * One writer, many followers, none of whom can hold the writer up.
 *
 * Invariant: publish() never waits and never throws. What a follower has not read yet is bounded in
 * items and in weight; one that falls further behind gets what it had in its queue, one farewell that
 * says so, and the end. A follower that is aborted or left is forgotten at once.
 */

/** Bounds of one follower's queue. */
export interface FeedLimits {
  items: number;
  /** Sum of the weights of the queued items. */
  weight: number;
}

/** The bounds that fit records of a log: some thousand lines, a few megabytes. */
export const FEED_LIMITS: FeedLimits = { items: 4096, weight: 4 * 1024 * 1024 };

/** Publishes items to any number of followers. */
export class Feed<T> {
  readonly #weigh: (item: T) => number;
  readonly #farewell: () => T;
  readonly #limits: FeedLimits;
  readonly #followers = new Set<Follower<T>>();
  #dropped = 0;

  /**
   * @param weigh size of an item in bytes or characters
   * @param farewell the last item of a follower that was dropped
   */
  constructor(weigh: (item: T) => number, farewell: () => T, limits: FeedLimits = FEED_LIMITS) {
    this.#weigh = weigh;
    this.#farewell = farewell;
    this.#limits = limits;
  }

  /** Followers now. */
  get followers(): number {
    return this.#followers.size;
  }

  /** Followers that were dropped because they read too slowly. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Hands one item to everybody who follows. */
  publish(item: T): void {
    if (this.#followers.size === 0) return;
    for (const follower of this.#followers) {
      if (!follower.wants(item) || follower.offer(item, this.#weigh(item), this.#limits)) continue;
      this.#dropped++;
      this.#followers.delete(follower);
      follower.end(this.#farewell());
    }
  }

  /**
   * Follows from this very call on (not from the first read). Ends without an error when `signal`
   * is aborted or close() is called.
   *
   * @param wants which items; others take no room in the queue. Default: all
   */
  follow(
    signal?: AbortSignal,
    wants: (item: T) => boolean = () => true,
  ): AsyncIterableIterator<T> {
    const follower = new Follower<T>(wants, () => {
      this.#followers.delete(follower);
      signal?.removeEventListener("abort", leave);
    });
    const leave = () => void follower.return();
    if (signal?.aborted) leave();
    else {
      this.#followers.add(follower);
      signal?.addEventListener("abort", leave, { once: true });
    }
    return follower;
  }

  /** Everybody gets what is queued, then the end. */
  close(): void {
    for (const follower of this.#followers) follower.end();
    this.#followers.clear();
  }
}

class Follower<T> implements AsyncIterableIterator<T> {
  #queue: { item: T; weight: number }[] = [];
  /** Items before this one were read; cut off when they are many. */
  #head = 0;
  #weight = 0;
  #ended = false;
  #waiting: PromiseWithResolvers<IteratorResult<T>> | undefined;
  readonly #onLeave: () => void;

  constructor(readonly wants: (item: T) => boolean, onLeave: () => void) {
    this.#onLeave = onLeave;
  }

  /** False: the queue is full. An item heavier than the bound still passes when the queue is empty. */
  offer(item: T, weight: number, limits: FeedLimits): boolean {
    if (this.#waiting !== undefined) {
      this.#hand({ value: item, done: false });
      return true;
    }
    const length = this.#queue.length - this.#head;
    if (length > 0 && (length >= limits.items || this.#weight + weight > limits.weight)) {
      return false;
    }
    this.#queue.push({ item, weight });
    this.#weight += weight;
    return true;
  }

  end(farewell?: T): void {
    this.#ended = true;
    if (farewell !== undefined) this.#queue.push({ item: farewell, weight: 0 });
    if (this.#waiting !== undefined) this.#hand(this.#take() ?? { value: undefined, done: true });
    this.#onLeave();
  }

  next(): Promise<IteratorResult<T>> {
    const queued = this.#take();
    if (queued !== undefined) return Promise.resolve(queued);
    if (this.#ended) return Promise.resolve({ value: undefined, done: true });
    this.#waiting ??= Promise.withResolvers();
    return this.#waiting.promise;
  }

  return(): Promise<IteratorResult<T>> {
    this.#queue = [];
    this.#head = 0;
    if (!this.#ended) this.end();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #take(): IteratorResult<T> | undefined {
    if (this.#head >= this.#queue.length) return undefined;
    const { item, weight } = this.#queue[this.#head++];
    this.#weight -= weight;
    if (this.#head === this.#queue.length || this.#head > 1024) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    return { value: item, done: false };
  }

  #hand(result: IteratorResult<T>): void {
    const waiting = this.#waiting!;
    this.#waiting = undefined;
    waiting.resolve(result);
  }
}
