/**
 * The interpreter's loop over the table of life.ts: takes events, has their effects performed.
 *
 * Invariants: events are taken one after the other, never inside each other (what happens during a
 * turn is taken after it, in the same turn of the event loop); `changed` is called before the first
 * effect; an effect that throws (a bug of ours) is reported and costs nobody the effects after it.
 */

import { AT_REST, type Effect, type Life, type LifeEvent, step } from "./life.ts";

/** Who performs. */
export interface Actor {
  /** The life may look different now. */
  changed(): void;
  perform(effect: Effect): void;
  bug(where: string, error: unknown): void;
}

/** One life, turn by turn. */
export class Turns {
  readonly #actor: Actor;
  readonly #events: LifeEvent[] = [];
  #life: Life = AT_REST;

  constructor(actor: Actor) {
    this.#actor = actor;
  }

  /** Where it stands. */
  get life(): Life {
    return this.#life;
  }

  /** Takes an event, after those that are being dealt with. */
  take(event: LifeEvent): void {
    if (this.#events.push(event) > 1) return;
    for (; this.#events.length > 0; this.#events.shift()) this.#turn(this.#events[0]);
  }

  #turn(event: LifeEvent): void {
    const { life, effects } = step(this.#life, event);
    this.#life = life;
    this.#actor.changed();
    for (const effect of effects) {
      try {
        this.#actor.perform(effect);
      } catch (error) {
        this.#actor.bug(`the effect ${effect}`, error);
      }
    }
  }
}
