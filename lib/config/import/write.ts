/**
 * The new file as text, its notes as comments where they belong.
 *
 * Invariant: every note appears once; a note about something that is not in the file stands at the
 * nearest place above it.
 */

import { Document, isMap, isScalar, type Pair, type Scalar, type YAMLMap } from "yaml";
import type { Draught, Note } from "./draft.ts";

/** Longest line of a comment. */
const WIDTH = 96;

/** One sentence of a note. */
export function sentence({ from, text }: Note): string {
  return from === undefined ? text : `${from}: ${text}`;
}

/** @param head first lines, as comments */
export function write(draught: Draught, head: readonly string[]): string {
  const document = new Document(draught.config);
  const top: string[] = [];
  for (const note of draught.notes) {
    const pair = pairAt(document.contents as YAMLMap, note.at);
    if (pair === undefined) top.push(...wrapped(sentence(note), "- "));
    else comment(pair, wrapped(sentence(note), ""));
  }
  spaced(document.contents as YAMLMap);
  const lines = [...head, ...(top.length > 0 ? ["", "Notes:", ...top] : [])];
  return `${asComment(lines)}\n\n${
    document.toString({ lineWidth: 0, flowCollectionPadding: true })
  }`;
}

/** Comment lines. */
export function asComment(lines: readonly string[]): string {
  return lines.map((line) => line === "" ? "#" : `# ${line}`).join("\n");
}

type KeyPair = Pair<Scalar<string>, unknown>;

function pairAt(map: YAMLMap, at: readonly string[]): KeyPair | undefined {
  let found: KeyPair | undefined;
  let inside: unknown = map;
  for (const key of at) {
    if (!isMap(inside)) break;
    const pair = inside.items.find(({ key: k }) => isScalar(k) && k.value === key);
    if (pair === undefined) break;
    found = pair as KeyPair;
    inside = found.value;
  }
  return found;
}

function comment({ key }: KeyPair, lines: string[]): void {
  const text = lines.map((line) => ` ${line}`).join("\n");
  key.commentBefore = key.commentBefore ? `${key.commentBefore}\n${text}` : text;
}

/** Room between the sections and between the processes; lists of words in one line. */
function spaced(map: YAMLMap): void {
  for (const [index, { key, value }] of map.items.entries()) {
    if (isScalar(key) && index > 0 && isMap(value)) key.spaceBefore = true;
    if (!isScalar(key) || key.value !== "processes" || !isMap(value)) continue;
    for (const [n, process] of value.items.entries()) {
      if (isScalar(process.key) && n > 0) process.key.spaceBefore = true;
      if (isMap(process.value)) flow(process.value);
    }
  }
}

const IN_ONE_LINE = ["command", "health", "depends_on"];

function flow(map: YAMLMap): void {
  for (const { key, value } of map.items) {
    if (isScalar(key) && IN_ONE_LINE.includes(String(key.value)) && hasFlow(value)) {
      value.flow = true;
    }
  }
}

function hasFlow(value: unknown): value is { flow?: boolean } {
  return typeof value === "object" && value !== null && "items" in value;
}

function wrapped(text: string, bullet: string): string[] {
  const lines: string[] = [];
  let line = bullet;
  const indent = " ".repeat(bullet.length);
  // What a line end in an old value would break.
  for (const word of text.replace(/\s+/g, " ").split(" ")) {
    if (line.trim().length > bullet.trim().length && line.length + word.length >= WIDTH) {
      lines.push(line.trimEnd());
      line = indent;
    }
    line += `${word} `;
  }
  return [...lines, line.trimEnd()];
}
