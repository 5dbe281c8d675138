/**
 * Notices that a spool was emptied and written anew, which `echo … >/dev/stderr` does: to open that name
 * is to open the spool again, and `>` truncates what it opens.
 *
 * | the spool, compared with how it was when all of it was read | means                           |
 * | ----------------------------------------------------------- | ------------------------------- |
 * | is shorter                                                  | emptied (the reader sees that)  |
 * | has the same size and another time, and still has it later  | emptied and written anew        |
 * | has the same size and another time, for a moment            | a write is under way            |
 * | is longer, but no line ends where one did                   | emptied and written anew        |
 *
 * Invariant: a spool that is only appended to is never taken for a new one: the system sets the time
 * before the size, so "same size, other time" counts only when it lasts.
 */

/** How long it must last. Milliseconds; a write under way is over in microseconds. */
export const CONFIRM = 50;

/** A spool at one moment. */
export type Look = Pick<Deno.FileInfo, "size" | "mtime">;

/** `maybe`: ask again after CONFIRM. */
export type Rewritten = "no" | "maybe" | "yes";

/** See the file's comment. */
export class RewriteWatch {
  #mark: Look | undefined;
  #since: number | undefined;

  /** All of the spool is read, and this is how it is now. */
  remember(look: Look): void {
    this.#mark = look;
    this.#since = undefined;
  }

  /** @param now clock milliseconds */
  judge({ size, mtime }: Look, now: number): Rewritten {
    if (this.#mark?.size !== size || this.#mark.mtime?.getTime() === mtime?.getTime()) {
      this.#since = undefined;
      return "no";
    }
    this.#since ??= now;
    return now - this.#since >= CONFIRM ? "yes" : "maybe";
  }
}
