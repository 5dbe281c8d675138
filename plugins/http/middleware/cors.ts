/**
 * Cross-origin rules (the Fetch standard, CORS protocol), as RoadRunner's users know them.
 *
 * | request   | origin    | method, headers | the answer says                                        |
 * | --------- | --------- | --------------- | ------------------------------------------------------ |
 * | any       | none      | –               | nothing but Vary                                       |
 * | any       | not ours  | –               | nothing but Vary                                       |
 * | preflight | allowed   | not allowed     | nothing but Vary                                       |
 * | preflight | allowed   | allowed         | origin, method, headers, credentials, max age          |
 * | actual    | allowed   | method allowed  | origin, exposed headers, credentials                   |
 *
 * Invariant: what is refused gets the same status as what is allowed; the browser enforces the rest.
 */

import type { HeadersConfig } from "../../../lib/config/roadrunner/http.ts";
import type { Exchange, ResponseHead } from "../../../lib/http/mod.ts";
import type { Emit } from "../../../lib/telemetry/events.ts";
import { type Pairs, withVary } from "./edit_head.ts";

type CorsConfig = NonNullable<HeadersConfig["cors"]>;

/** What may be asked when the file names none. */
const METHODS = ["GET", "POST", "HEAD"];
const HEADERS = ["accept", "content-type", "x-requested-with"];
const VARY_PREFLIGHT: readonly [string, string] = [
  "Vary",
  "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
];

/** The rules of one configuration. */
export class Cors {
  /** Status of the answer to a preflight. */
  readonly status: number;
  readonly #config: CorsConfig;
  readonly #emit: Emit;
  readonly #origins: string[];
  readonly #regex: RegExp | undefined;
  readonly #methods: string[];
  readonly #headers: string[];

  constructor(config: CorsConfig, emit: Emit) {
    this.#config = config;
    this.#emit = emit;
    this.status = config.options_success_status;
    this.#origins = listOf(config.allowed_origin).map((one) => one.toLowerCase());
    const { allowed_origin_regex: regex } = config;
    this.#regex = regex === undefined || regex === "" ? undefined : new RegExp(regex);
    this.#methods = orElse(listOf(config.allowed_methods).map((one) => one.toUpperCase()), METHODS);
    this.#headers = orElse(listOf(config.allowed_headers).map((one) => one.toLowerCase()), HEADERS);
  }

  /** Fields of the answer to a preflight. */
  preflight({ head }: Exchange): Pairs {
    const origin = head.get("origin");
    const method = head.get("access-control-request-method") ?? "";
    const wanted = head.get("access-control-request-headers") ?? "";
    const refusal = this.#refusal(origin, method, wanted);
    if (refusal !== undefined) {
      if (this.#config.debug) this.#emit("cors_refused", { origin: origin ?? "", reason: refusal });
      return [VARY_PREFLIGHT];
    }
    const { max_age } = this.#config;
    const fields: [string, string][] = [
      [...VARY_PREFLIGHT],
      ["Access-Control-Allow-Origin", this.#said(origin!)],
      ["Access-Control-Allow-Methods", method.toUpperCase()],
    ];
    if (wanted !== "") fields.push(["Access-Control-Allow-Headers", wanted]);
    if (max_age > 0) fields.push(["Access-Control-Max-Age", String(max_age)]);
    return [...fields, ...this.#credentials()];
  }

  /** Fields of the answer to an actual request. */
  actual({ head, method }: Exchange, answer: ResponseHead): Pairs {
    const origin = head.get("origin");
    const vary = withVary(answer, "Origin");
    if (origin === undefined || !this.#allowsOrigin(origin) || !this.#allowsMethod(method)) {
      return [vary];
    }
    const { exposed_headers: exposed } = this.#config;
    const fields: Pairs = [vary, ["Access-Control-Allow-Origin", this.#said(origin)]];
    const names = listOf(exposed).join(", ");
    const seen: Pairs = names === "" ? [] : [["Access-Control-Expose-Headers", names]];
    return [...fields, ...seen, ...this.#credentials()];
  }

  #refusal(origin: string | undefined, method: string, wanted: string): string | undefined {
    if (origin === undefined) return "no Origin";
    if (!this.#allowsOrigin(origin)) return "the origin is not allowed";
    if (!this.#allowsMethod(method)) return `the method ${method} is not allowed`;
    const bad = listOf(wanted).find((name) => !this.#allowsHeader(name.toLowerCase()));
    return bad === undefined ? undefined : `the header ${bad} is not allowed`;
  }

  /** An expression decides alone; without one, no list means everybody. */
  #allowsOrigin(origin: string): boolean {
    if (this.#regex !== undefined) return this.#regex.test(origin);
    const asked = origin.toLowerCase();
    return this.#allowsAll || this.#origins.some((one) => matches(one, asked));
  }

  get #allowsAll(): boolean {
    if (this.#regex !== undefined) return false;
    return this.#origins.length === 0 || this.#origins.includes("*");
  }

  #allowsMethod(method: string): boolean {
    return method === "OPTIONS" || this.#methods.includes(method.toUpperCase());
  }

  #allowsHeader(name: string): boolean {
    return name === "origin" || this.#headers.includes("*") || this.#headers.includes(name);
  }

  #said(origin: string): string {
    return this.#allowsAll ? "*" : origin;
  }

  #credentials(): Pairs {
    return this.#config.allow_credentials ? [["Access-Control-Allow-Credentials", "true"]] : [];
  }
}

/** `https://*.example.com`: one star for anything, at least one character. */
function matches(allowed: string, origin: string): boolean {
  const star = allowed.indexOf("*");
  if (star < 0) return allowed === origin;
  const [before, after] = [allowed.slice(0, star), allowed.slice(star + 1)];
  return origin.length > before.length + after.length && origin.startsWith(before) &&
    origin.endsWith(after);
}

function listOf(text: string): string[] {
  return text.split(",").map((one) => one.trim()).filter((one) => one !== "");
}

function orElse(list: string[], otherwise: string[]): string[] {
  return list.length === 0 ? otherwise : list;
}
