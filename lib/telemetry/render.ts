/**
 * Events as lines: JSON for machines, a readable form for terminals.
 *
 * Invariant: one event is one line, whatever its facts contain; in the readable form nothing that
 * came from outside can move the cursor, change colours or forge a line.
 */

import type { EventRecord, Level } from "./events.ts";

/** What every form of an event needs. */
export type Renderable = Pick<EventRecord, "at" | "level" | "event" | "data">;

/** Turns an event into one line with its newline. */
export type Render = (record: Renderable) => string;

const RESET = "\x1b[0m";
const DIM = "\x1b[2m";
const COLOUR: Record<Level, string> = {
  debug: DIM,
  info: "\x1b[32m",
  warn: "\x1b[33m",
  error: "\x1b[31m",
};
/** Longest event names are about this long; data starts in one column for most. */
const EVENT_WIDTH = 24;
const PLAIN = /^[\w@%+:,./#~-]+$/;
/** What JSON.stringify leaves alone but terminals act on: DEL, C1 controls, direction marks. */
const UNSAFE = /[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g;

/** `{"at":…,"level":…,"event":…,"data":{…}}` */
export const renderJson: Render = ({ at, level, event, data }) =>
  `${JSON.stringify({ at, level, event, data })}\n`;

/** `12:30:01.250 warn  process_exited  process=web code=1`, local time. */
export function renderReadable(colour: boolean): Render {
  const paint = (code: string, text: string) => colour ? `${code}${text}${RESET}` : text;
  return ({ at, level, event, data }) => {
    const facts = Object.entries(data)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => `${paint(DIM, `${key}=`)}${factText(value)}`);
    const name = facts.length > 0 ? event.padEnd(EVENT_WIDTH) : event;
    const head = `${paint(DIM, localTime(at))} ${paint(COLOUR[level], level.padEnd(5))} ${name}`;
    return `${[head, ...facts].join(" ")}\n`;
  };
}

/** The same with CR LF at the end. */
export function withCrLf(render: Render): Render {
  return (record) => `${render(record).slice(0, -1)}\r\n`;
}

function factText(value: unknown): string {
  if (typeof value === "string" && PLAIN.test(value)) return value;
  const text = JSON.stringify(value) ?? "";
  return text.replaceAll(
    UNSAFE,
    (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function localTime(at: string): string {
  const date = new Date(at);
  const two = (value: number) => String(value).padStart(2, "0");
  const ms = String(date.getMilliseconds()).padStart(3, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`;
}
