/**
 * The kinds of values that only RoadRunner's sections have: commands without a shell, environments in
 * two forms, numbers that are seconds or megabytes, empty texts that mean "not written", and keys that
 * do nothing here.
 *
 * Invariant: as in ../schema/fields.ts, every refusal says what is so and what to write; a key that is
 * accepted without effect carries the reason (`no_effect`), from which the warning is made.
 */

import * as z from "zod";
import { formatDuration, parseDuration } from "../../core/duration.ts";
import { formatSize, parseSize } from "../../core/size.ts";
import { splitWords } from "../../core/words.ts";
import { MAX_WAIT } from "../defaults.ts";
import { readAddress, Refusal } from "../names.ts";
import {
  described,
  type KeyFacts,
  noDuration,
  noSize,
  read,
  refuse,
  wordList,
} from "../schema/fields.ts";

const MIB = 1024 * 1024;

/** A command: one text, split into words with quotes understood and no shell, or a list of words. */
export function command(description: string, facts: KeyFacts) {
  const text = z.string().superRefine((value, context) => {
    if (value.trim() === "") return;
    const words = splitWords(value);
    if (Array.isArray(words)) return;
    refuse(context, new Refusal(words.problem, "close the quote, or write the command as a list"));
  }).transform(emptyIsNone);
  return described(z.union([text, wordList()]), "text or list", description, facts);
}

/** A text; an empty one counts as not written. */
export function textOrEmpty(description: string, facts: KeyFacts = {}) {
  return described(z.string().transform(emptyIsNone), "text", description, facts);
}

function emptyIsNone(value: string): string | undefined {
  return value.trim() === "" ? undefined : value;
}

/** Environment variables: a map, or a list of maps. Names are upper-cased, as RoadRunner does. */
export function environment(description: string) {
  const map = z.record(z.string().regex(/^[^=\s\0]+$/), z.string());
  const both = z.union([map, z.array(map)]).transform((value): Record<string, string> => {
    const maps = Array.isArray(value) ? value : [value];
    const entries = maps.flatMap((one) => Object.entries(one));
    return Object.fromEntries(entries.map(([name, text]) => [name.toUpperCase(), text]));
  });
  const facts = { defaultFrom: "none", example: "{ APP_ENV: production }" };
  return described(both, "map, or list of maps", description, facts);
}

/** A number of seconds, as RoadRunner documents it, or a duration; milliseconds afterwards. */
export function seconds(
  description: string,
  facts: { default: number; min?: number; max?: number },
) {
  const written = formatDuration(facts.default);
  const { min = 0, max = MAX_WAIT } = facts;
  const reader = (value: string): number | Refusal => {
    const bare = /^\d+$/.test(value.trim());
    const ms = bare ? Number(value) * 1000 : parseDuration(value);
    if (ms === undefined) return noDuration(value);
    if (ms < min) {
      const what = `must be at least ${formatDuration(min)}, got ${JSON.stringify(value)}`;
      return new Refusal(what, `write ${written}`);
    }
    if (ms <= max) return ms;
    const limit = formatDuration(max);
    return new Refusal(`must be at most ${limit}, got ${JSON.stringify(value)}`, `write ${limit}`);
  };
  const more = { default: written, example: written === "0" ? "60s" : written };
  return read("duration or number of seconds", reader, description, more);
}

/**
 * A number of megabytes (1024 × 1024), as RoadRunner documents it, or a size; bytes afterwards.
 * `default`, `max`: bytes.
 */
export function megabytes(
  description: string,
  { max, ...facts }: Omit<KeyFacts, "default"> & {
    default?: number;
    max?: number;
    example: string;
  },
) {
  const reader = (value: string): number | Refusal => {
    const bytes = /^\d+$/.test(value.trim()) ? Number(value) * MIB : parseSize(value);
    if (bytes === undefined) return noSize(value);
    if (bytes <= (max ?? Number.MAX_SAFE_INTEGER)) return bytes;
    const what = max === undefined ? "is too large" : `must be at most ${plainSize(max)}`;
    return new Refusal(`${what}, got ${value}`, `write e.g. ${facts.example}`);
  };
  const preset = facts.default === 0 ? "0" : facts.default && plainSize(facts.default);
  return read("size or number of megabytes", reader, description, { ...facts, default: preset });
}

function plainSize(bytes: number): string {
  return formatSize(bytes).replace(/\.0 | /, "");
}

/** A list of texts. */
export function texts(description: string, facts: KeyFacts) {
  return described(z.array(z.string()), "list", description, facts);
}

/** File name extensions: lower case with their dot; empty ones mean nothing. */
export function extensions(description: string) {
  const list = z.array(z.string()).transform((all) =>
    all.map((one) => one.trim().toLowerCase()).filter((one) => one !== "")
      .map((one) => one.startsWith(".") ? one : `.${one}`)
  );
  return described(list, "list", description, { defaultFrom: "none", example: "[.php, .exe]" });
}

const fieldName = z.string().superRefine((value, context) => {
  if (/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(value)) return;
  const fix = `write e.g. ${value.trim().replace(/[^0-9A-Za-z-]+/g, "-")}`;
  refuse(context, new Refusal("is no name of a header field", fix));
});

/** Names and values of header fields. */
export function fields(description: string) {
  const map = z.record(
    fieldName,
    read("text", fieldValue, "Value.", { example: "on" }),
  );
  return described(map, "map", description, { defaultFrom: "none", example: "{ X-App: shop }" });
}

function fieldValue(value: string): string | Refusal {
  // deno-lint-ignore no-control-regex
  if (!/[\x00-\x08\x0a-\x1f\x7f]/.test(value)) return value;
  const what = `must be one line without control characters, got ${JSON.stringify(value)}`;
  return new Refusal(what, "remove them");
}

/** Where something listens: host:port, or `unix://path`. */
export function readListen(
  text: string,
): { host: string; port: number } | { path: string } | Refusal {
  const path = /^unix:\/\/(.+)$/.exec(text)?.[1];
  return path === undefined ? readAddress(text) : { path };
}

/** Where something listens as PHP has to write it: `tcp://host:port` or `unix://path`. */
export function readDsn(text: string): string | Refusal {
  const got = JSON.stringify(text);
  const fix = "write tcp://127.0.0.1:6001 or unix:///run/app.sock";
  const path = /^unix:\/\/(.+)$/.exec(text)?.[1];
  if (path !== undefined) return text;
  const address = /^tcp:\/\/(.+)$/.exec(text)?.[1];
  if (address === undefined) return new Refusal(`must be tcp://… or unix://…, got ${got}`, fix);
  const read = readAddress(address);
  if (read instanceof Refusal || !address.includes(":")) {
    return new Refusal(`must have a host and a port after tcp://, got ${got}`, fix);
  }
  if (read.port > 0) return text;
  return new Refusal(`must have a fixed port, got ${got}`, "write a port of 1 to 65535");
}

/** The parts of a text that {@linkcode readDsn} accepted. */
export function partsOfDsn(dsn: string): { host: string; port: number } | { path: string } {
  const path = /^unix:\/\/(.+)$/.exec(dsn)?.[1];
  if (path !== undefined) return { path };
  return readAddress(dsn.replace(/^tcp:\/\//, "")) as { host: string; port: number };
}

/** The DSN with an absolute path. */
export function absoluteDsn(dsn: string, absolute: (path: string) => string): string {
  const path = /^unix:\/\/(.+)$/.exec(dsn)?.[1];
  return path === undefined ? dsn : `unix://${absolute(path)}`;
}

/** A key that is accepted and does nothing here; `reason`: a clause. */
export function noEffect(reason: string) {
  const description = `Accepted without effect: ${reason}.`;
  return z.unknown().meta({ description, kind: "anything", no_effect: reason }).optional();
}

/** A key of something we do not have. `harmless`: values that ask for nothing. */
export function notYet(
  what: string,
  fix: string,
  harmless: (value: unknown) => boolean = () => false,
) {
  return z.unknown().superRefine((value, context) => {
    if (harmless(value)) return;
    refuse(context, new Refusal(`is not possible yet: ${what}`, fix));
  }).meta({ description: `Not possible yet: ${what}.`, kind: "anything" }).optional();
}
