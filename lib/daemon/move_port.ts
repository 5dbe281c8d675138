/**
 * A copy of the live release that crashed, and whose port a stranger took before it was back, moves to
 * another port: new before old, as in a rolling restart.
 *
 * Invariant: at most one move of a copy is under way or waiting for its turn; a copy that came back by
 * itself, or whose release is no longer live, is left alone.
 */

import { messageOf } from "../core/failure.ts";
import type { Release } from "../release/release.ts";
import { replaceCopy } from "../release/restart.ts";
import type { Slot } from "../release/slot.ts";
import type { Context } from "./context.ts";

/** @returns what to call when a copy lost its port */
export function portMover(context: Context): (release: Release, slot: Slot) => void {
  const moving = new Set<Slot>();
  return (release, slot) => {
    if (moving.has(slot)) return;
    moving.add(slot);
    void move(context, release, slot).finally(() => moving.delete(slot));
  };
}

async function move(context: Context, release: Release, slot: Slot): Promise<void> {
  const { fleet, turn, emit } = context;
  const name = { process: slot.instance, release: release.release_id };
  try {
    await turn.run(`move ${slot.instance} to another port`, async (signal) => {
      const wanted = fleet.active === release && release.slots.includes(slot);
      if (!wanted || slot.process.healthy) return;
      emit("port_retry", { ...name, port: slot.port!, attempt: 1 });
      await replaceCopy(fleet, release, slot, "crash", signal);
    });
  } catch (error) {
    // The copy is retried where it was; the next time it finds its port taken, it is moved again.
    emit("process_start_failed", { ...name, error: messageOf(error) });
  }
}
