/**
 * What a daemon remembers of its releases when it is gone: which were live, where they lie, which
 * one is live now, and how far the operator scaled what.
 *
 * Invariant: the file is replaced as a whole (written beside, synced, renamed), so a reader finds the
 * old or the new history and never half of one. No secrets, no environment, no commands.
 */

import { Failure } from "../core/failure.ts";
import { atomicWrite, readTextIfAny } from "../os/files.ts";
import type { ReleaseRecord } from "./types.ts";

/** What is kept. */
export interface Remembered {
  /** Release to bring back at start; null: the operator stopped it, or there never was one. */
  live: ReleaseRecord | null;
  /** Every retained release, oldest activation first; includes the live one. */
  releases: ReleaseRecord[];
  /** Replica counts set by `scale`, by process id. */
  scale: Record<string, number>;
}

interface HistoryFile extends Remembered {
  format: 1;
  application: string;
}

const NOTHING: Remembered = { live: null, releases: [], scale: {} };

/** The history file of one application. */
export class History {
  #writing: Promise<void> = Promise.resolve();

  constructor(readonly file: string, readonly application: string) {}

  /**
   * @throws Failure when the file is there but cannot be used: starting without the release the
   *   operator trusts to come back would be worse than not starting.
   */
  read(): Remembered {
    const text = readTextIfAny(this.file);
    if (text === undefined) return NOTHING;
    const content = parse(text);
    if (content === undefined) {
      throw new Failure(`the release history "${this.file}" is not a file of this program`, {
        fix: "move it away to start without a history",
      });
    }
    if (content.application !== this.application) {
      throw new Failure(
        `the release history "${this.file}" belongs to the application "${content.application}", not "${this.application}"`,
        { fix: "give each application its own state_dir" },
      );
    }
    return { live: content.live, releases: content.releases, scale: content.scale };
  }

  /**
   * Writes the history; writes follow one another in the order of the calls.
   * @throws Failure naming the file and why.
   */
  write(remembered: Remembered): Promise<void> {
    const content: HistoryFile = { format: 1, application: this.application, ...remembered };
    const text = JSON.stringify(content, null, 2) + "\n";
    const write = this.#writing.then(() => atomicWrite(this.file, text, 0o600));
    this.#writing = write.catch(() => {}); // The caller of this write hears of it; the next one goes on.
    return write;
  }
}

function parse(text: string): HistoryFile | undefined {
  try {
    const content = JSON.parse(text);
    return isHistory(content) ? content : undefined;
  } catch {
    return undefined; // Not JSON: the same answer as any other file that is not ours.
  }
}

function isHistory(content: Partial<HistoryFile> | null): content is HistoryFile {
  return content?.format === 1 && typeof content.application === "string" &&
    Array.isArray(content.releases) && content.releases.every(isRecord) &&
    (content.live === null || isRecord(content.live)) &&
    typeof content.scale === "object" && content.scale !== null &&
    Object.values(content.scale).every((count) => Number.isInteger(count) && count >= 0);
}

/** Whether it holds what is acted on; the rest is only shown. */
function isRecord(record: Partial<ReleaseRecord> | null | undefined): record is ReleaseRecord {
  const { release_id, lineage, release_path, revision } = record ?? {};
  return [release_id, lineage, release_path, revision].every((it) => typeof it === "string");
}
