/**
 * The `http` section: from checked keys to a whole HttpConfig, and what the keys mean together.
 *
 * Invariant: nothing of the disk is read but whether what is named exists.
 */

import type { Config } from "../config.ts";
import { HTTP } from "../defaults.ts";
import type { SectionPlace, SectionProblem, SectionSchema } from "../sections.ts";
import { httpSchema, type HttpValues } from "./http_schema.ts";
import type { HttpConfig } from "./http.ts";
import { completePool } from "./pool.ts";
import { notThere } from "./there.ts";

/** The section `http`. Its comparison is the plugin's. */
export const httpSection: SectionSchema = {
  schema: httpSchema,
  roadrunner: true,
  complete: (value, place) => complete(value as HttpValues, place),
  check: (value, config) => check(value as HttpConfig, config),
};

function complete(values: HttpValues, place: SectionPlace): HttpConfig {
  const { address, uploads, headers, static: files, ssl } = values;
  return {
    address: address !== undefined && "path" in address
      ? { path: place.absolute(address.path, ["address"]) }
      : address,
    internal_error_code: values.internal_error_code,
    access_logs: values.access_logs ?? HTTP.access_logs,
    max_request_size: values.max_request_size || HTTP.max_request_size,
    raw_body: values.raw_body ?? HTTP.raw_body,
    encoding: values.encoding ?? HTTP.encoding,
    middleware: values.middleware ?? [],
    trusted_subnets: values.trusted_subnets ?? [],
    trusted_headers: values.trusted_headers ?? [...HTTP.trusted_headers],
    uploads: {
      dir: uploads?.dir === undefined ? place.tmp : place.absolute(uploads.dir, ["uploads", "dir"]),
      forbid: uploads?.forbid ?? [],
      allow: uploads?.allow ?? [],
    },
    headers: {
      request: { ...headers?.request },
      response: { ...headers?.response },
      cors: headers?.cors && {
        ...HTTP.cors,
        ...written(headers.cors),
      },
    },
    static: files && {
      forbid: [],
      allow: [],
      request: {},
      response: {},
      ...HTTP.static,
      ...written(files),
      dir: place.absolute(files.dir ?? HTTP.static.dir, ["static", "dir"]),
    },
    ssl: ssl && {
      address: ssl.address ?? HTTP.ssl.address,
      redirect: ssl.redirect ?? HTTP.ssl.redirect,
      cert: place.absolute(ssl.cert, ["ssl", "cert"]),
      key: place.absolute(ssl.key, ["ssl", "key"]),
    },
    pool: completePool(values.pool ?? {}, place.cores),
    timeouts: { ...HTTP.timeouts, ...values.timeouts },
    limits: { ...HTTP.limits, ...values.limits },
    drain_timeout: values.drain_timeout ?? HTTP.drain_timeout,
  };
}

/** Without the keys that are there but say nothing (an empty text). */
function written<T extends object>(values: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const said = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(said) as { [K in keyof T]: Exclude<T[K], undefined> };
}

function check(http: HttpConfig, config: Config): SectionProblem[] {
  const { address, ssl, static: files, middleware, uploads } = http;
  const problems: SectionProblem[] = [];
  const say = (severity: "error" | "warning", path: string[], message: string, fix: string) =>
    problems.push({ severity, path, message, fix });
  const has = (name: HttpConfig["middleware"][number]) => middleware.includes(name);
  if (address === undefined && ssl === undefined) {
    say("error", [], "http has no address", "add address: 127.0.0.1:8080");
  }
  if (ssl !== undefined) {
    for (const key of ["cert", "key"] as const) {
      const wrong = notThere(ssl[key], "file");
      const fix = "name the PEM file";
      if (wrong !== undefined) say("error", ["ssl", key], `http.ssl.${key}: ${wrong}`, fix);
    }
    if (ssl.redirect && address === undefined) {
      const message = "http.ssl.redirect has no effect: there is no plain address";
      say("warning", ["ssl", "redirect"], message, "add http.address, or remove it");
    }
  }
  if (files !== undefined) {
    const wrong = notThere(files.dir, "directory");
    const fix = "name the directory with the public files";
    if (wrong !== undefined) say("error", ["static", "dir"], `http.static.dir: ${wrong}`, fix);
    if (has("static") && isWithin(config.dir, files.dir)) {
      const message = `http.static.dir is ${files.dir}, where the configuration itself can be read`;
      say("warning", ["static", "dir"], message, "name a directory with public files only");
    }
  }
  if (has("static") && files === undefined) {
    const fix = "add static: { dir: public } to http, or remove it";
    say("error", ["middleware"], "http.middleware names static, but http.static is missing", fix);
  }
  const uploadsWrong = notThere(uploads.dir, "directory");
  if (uploadsWrong !== undefined) {
    say("error", ["uploads", "dir"], `http.uploads.dir: ${uploadsWrong}`, "create it");
  }
  return [...problems, ...withoutMiddleware(http)];
}

/** Keys that only a middleware reads which is not listed. */
function withoutMiddleware({ middleware, headers, ...http }: HttpConfig): SectionProblem[] {
  const { cors, request, response } = headers;
  const set = cors !== undefined ||
    Object.keys(request).length + Object.keys(response).length > 0;
  const idle = [
    ["headers", set, "headers"],
    ["static", http.static !== undefined, "static"],
    ["trusted_subnets", http.trusted_subnets.length > 0, "proxy_ip_parser"],
  ] as const;
  return idle.filter(([, isSet, name]) => isSet && !middleware.includes(name))
    .map(([key, , name]) => ({
      severity: "warning",
      path: [key],
      spot: "key",
      message: `http.${key} has no effect: http.middleware does not name ${name}`,
      fix: `add ${name} to http.middleware, or remove ${key}`,
    }));
}

function isWithin(path: string, dir: string): boolean {
  return path === dir || path.startsWith(dir.endsWith("/") ? dir : `${dir}/`);
}
