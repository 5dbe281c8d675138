/**
 * Looking once, or again and again: what `--watch` of several commands is.
 *
 * Invariant: ends by Ctrl-C, when the reader of the output has gone, or when a look fails; at most one
 * look a second.
 */

import { sleep } from "../core/clock.ts";
import { type Call, interrupted, type Option } from "./command.ts";

/** The option. */
export const WATCH: Option = {
  name: "watch",
  kind: "flag",
  about: "show it again every second, until Ctrl-C",
};

/** Between two looks, milliseconds. */
const INTERVAL = 1000;

/** Goes to the upper left corner and clears what is below. */
const HOME = "\x1b[H\x1b[J";

/** What is looked at. */
export interface View<T> {
  look(): Promise<T>;
  /** For people. */
  text(seen: T): string;
}

/** Shows a view once, or with `--watch` until somebody has had enough. @throws what a look throws */
export async function show<T>(call: Call, view: View<T>): Promise<void> {
  if (!call.values.flag("watch")) return await once(call, view, "");
  await again(call, view, call.interrupt());
}

/** Shows a view once, below `before`. @throws what the look throws */
export async function once<T>({ out }: Call, view: View<T>, before: string): Promise<void> {
  const seen = await view.look();
  await out.result(seen, () => before + view.text(seen));
}

/** Shows a view every second until `enough` is aborted, for being `interrupted`. */
export async function again<T>(call: Call, view: View<T>, enough: AbortSignal): Promise<void> {
  const { out, clock } = call;
  const end = AbortSignal.any([enough, out.gone]);
  const before = out.voice.terminal ? HOME : "";
  while (!end.aborted) {
    await once(call, view, before);
    await sleep(clock, INTERVAL, end).catch((error) => {
      // Ctrl-C and a reader that has gone are how a watch ends.
      if (error !== interrupted && !out.gone.aborted) throw error;
    });
  }
}
