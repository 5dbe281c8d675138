/**
 * The `Date` field of answers: made once for each second.
 *
 * Invariant: the text belongs to the wall clock's second in which it was asked for.
 */

import type { Clock } from "../../lib/core/clock.ts";

/** Makes the values of `Date`. */
export class DateField {
  readonly #clock: Pick<Clock, "wall">;
  #second = -1;
  #text = "";

  constructor(clock: Pick<Clock, "wall">) {
    this.#clock = clock;
  }

  /** `Sun, 06 Nov 1994 08:49:37 GMT` */
  get value(): string {
    const second = Math.floor(this.#clock.wall() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#text = new Date(second * 1000).toUTCString();
    }
    return this.#text;
  }
}
