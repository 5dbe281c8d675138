/**
 * One line of a program as it is kept on disk and sent: JSON lines with a fixed order of keys.
 *
 * Invariant: decodeRecord(line of encodeBatch) gives back what was encoded; a line of a log that is
 * not a record (torn by a power cut, written by a stranger) decodes to undefined and harms nobody.
 */

/** One line of one process. */
export interface LogRecord {
  /** ISO 8601, UTC: when the line was read. */
  at: string;
  /** Id of the instance: `web`, or `web#0` with replicas. */
  process: string;
  release: string | null;
  stream: "stdout" | "stderr";
  line: string;
  /** The line was longer than the limit: it goes on in the next record of this stream. */
  cut?: true;
}

/** What the records of one batch share. */
export type RecordHead = Omit<LogRecord, "line" | "cut">;

const encoder = new TextEncoder();

/**
 * The bytes of one batch, one record for each line, each ended by a newline.
 *
 * @param cut the last line goes on in the next batch
 */
export function encodeBatch(head: RecordHead, lines: readonly string[], cut: boolean): Uint8Array {
  const start = `${headText(head)},"line":`;
  let text = "";
  for (const line of lines) text += `${start}${JSON.stringify(line)}}\n`;
  if (cut) text = `${text.slice(0, -2)},"cut":true}\n`;
  return encoder.encode(text);
}

/** The record in one line of a log (without the newline); undefined when it is none. */
export function decodeRecord(text: string): LogRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // not a record: the invariant above
  }
  return isRecord(value) ? value : undefined;
}

function headText({ at, process, release, stream }: RecordHead): string {
  return JSON.stringify({ at, process, release, stream }).slice(0, -1);
}

function isRecord(value: unknown): value is LogRecord {
  if (typeof value !== "object" || value === null) return false;
  const { at, process, line, stream } = value as Record<string, unknown>;
  return typeof at === "string" && typeof process === "string" && typeof line === "string" &&
    (stream === "stdout" || stream === "stderr");
}
