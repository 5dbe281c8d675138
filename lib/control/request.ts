/**
 * Reads what a client sent: body and query, against a table of fields.
 *
 * Invariant: a handler sees only fields of its table with values of the right type; everything else
 * is a Refusal that names the field. A body is bounded in bytes and in time, and is never buffered
 * beyond its bound.
 */

import { type Clock, within } from "../core/clock.ts";
import { nearest } from "../core/suggest.ts";
import { Refusal } from "./answer.ts";

/**
 * What a field may hold. `count`: a whole number from 0 up. `data`: a text, perhaps empty. `base64`: the
 * same for bytes. `headers`: lists of texts by name.
 */
export type FieldKind = "text" | "path" | "flag" | "count" | "data" | "base64" | "headers";

/** One field of a body or a query. */
export interface Field {
  kind: FieldKind;
  required?: boolean;
  /** The only values allowed. */
  values?: readonly string[];
  /** Greatest count. */
  max?: number;
}

/** Fields by name. */
export type Fields = Record<string, Field>;

/** Bounds of a request body. */
export interface BodyLimits {
  /** Bytes. */
  body: number;
  /** Milliseconds from the head of the request to the end of its body. */
  bodyTime: number;
}

/** The JSON object in the body, checked; no body counts as `{}`. @throws Refusal */
export async function readBody<T>(
  request: Request,
  fields: Fields,
  limits: BodyLimits,
  clock: Clock,
): Promise<T> {
  const text = await readText(request, limits, clock);
  if (text.trim() === "") return check({}, fields, "field") as T;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Refusal(400, `the body is not JSON: ${(error as Error).message}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Refusal(400, `the body must be a JSON object, not ${describe(value)}`);
  }
  return check(value as Record<string, unknown>, fields, "field") as T;
}

/** The query of a URL, checked. Flags are `1`, `true`, `0`, `false`. @throws Refusal */
export function readQuery<T>(url: URL, fields: Fields): T {
  const found: Record<string, unknown> = Object.create(null);
  for (const [name, text] of url.searchParams) {
    if (Object.hasOwn(found, name)) throw new Refusal(400, `parameter "${name}" is given twice`);
    found[name] = fromText(text, fields[name]?.kind);
  }
  return check(found, fields, "parameter") as T;
}

async function readText(request: Request, limits: BodyLimits, clock: Clock): Promise<string> {
  const tooLong = new Refusal(413, `the body is longer than ${limits.body} bytes`);
  if (Number(request.headers.get("content-length") ?? 0) > limits.body) throw tooLong;
  if (request.body === null) return "";
  const reader = request.body.getReader();
  const decoder = new TextDecoder();
  const until = clock.now() + limits.bodyTime;
  let text = "";
  let size = 0;
  try {
    while (true) {
      const left = Math.max(0, until - clock.now());
      const read = await within(clock, left, reader.read());
      if (!read.done) throw new Refusal(408, `the body did not end within ${limits.bodyTime} ms`);
      if (read.value.done) return text + decoder.decode();
      size += read.value.value.byteLength;
      if (size > limits.body) throw tooLong;
      text += decoder.decode(read.value.value, { stream: true });
    }
  } finally {
    // The rest is of no interest; a client that is already gone makes this fail, which changes nothing.
    reader.cancel().catch(() => {});
  }
}

function fromText(text: string, kind: FieldKind | undefined): unknown {
  if (kind === "flag") {
    if (text === "1" || text === "true") return true;
    if (text === "0" || text === "false") return false;
  }
  if (kind === "count" && /^\d{1,15}$/.test(text)) return Number(text);
  return text;
}

function check(
  value: Record<string, unknown>,
  fields: Fields,
  word: string,
): Record<string, unknown> {
  for (const name of Object.keys(value)) {
    if (!Object.hasOwn(fields, name)) throw unknownField(name, Object.keys(fields), word);
  }
  for (const [name, field] of Object.entries(fields)) {
    const given = value[name];
    if (given === undefined && !field.required) continue;
    if (given === undefined) throw new Refusal(400, `${word} "${name}" is missing`);
    const wanted = mismatch(given, field);
    if (wanted !== undefined) {
      throw new Refusal(400, `${word} "${name}" must be ${wanted}, not ${describe(given)}`);
    }
  }
  return value;
}

/** What the field should have been; undefined when it is that. */
function mismatch(given: unknown, field: Field): string | undefined {
  switch (field.kind) {
    case "flag":
      return typeof given === "boolean" ? undefined : "true or false";
    case "count": {
      const max = field.max ?? Number.MAX_SAFE_INTEGER;
      const fits = Number.isSafeInteger(given) && (given as number) >= 0 &&
        (given as number) <= max;
      return fits ? undefined : `a whole number from 0 to ${max}`;
    }
    case "path":
      return typeof given === "string" && given.startsWith("/") && !given.includes("\0")
        ? undefined
        : "an absolute path";
    case "data":
      return typeof given === "string" ? undefined : "a text";
    case "base64":
      return typeof given === "string" && isBase64(given) ? undefined : "base64";
    case "headers":
      return isHeaders(given) ? undefined : "an object of lists of texts";
    case "text":
      if (typeof given !== "string" || given === "") return "a text that is not empty";
      if (field.values !== undefined && !field.values.includes(given)) {
        return `one of ${field.values.join(", ")}`;
      }
      return undefined;
  }
}

function isBase64(text: string): boolean {
  try {
    Uint8Array.fromBase64(text);
    return true;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}

function isHeaders(given: unknown): boolean {
  if (typeof given !== "object" || given === null || Array.isArray(given)) return false;
  return Object.values(given).every((values) =>
    Array.isArray(values) && values.every((value) => typeof value === "string")
  );
}

function unknownField(name: string, known: string[], word: string): Refusal {
  const near = nearest(name, known);
  const fix = near !== undefined
    ? `did you mean "${near}"?`
    : known.length === 0
    ? `this route takes no ${word}s`
    : `known: ${known.join(", ")}`;
  return new Refusal(400, `unknown ${word} "${name}"`, fix);
}

/** Longest value that is quoted in an error. */
const QUOTED = 80;

function describe(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > QUOTED ? `${text.slice(0, QUOTED)}…` : text;
}
