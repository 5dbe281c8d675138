/**
 * The keys of the `http` section of RoadRunner.
 *
 * Invariant: every key that RoadRunner documents is here: read, accepted without effect, or refused
 * with what to do instead.
 */

import * as z from "zod";
import { nearest } from "../../core/suggest.ts";
import { HTTP } from "../defaults.ts";
import { readAddress, readCidr, Refusal } from "../names.ts";
import {
  count,
  described,
  duration,
  flag,
  oneOf,
  read,
  refuse,
  section,
  size,
  text,
} from "../schema/fields.ts";
import {
  extensions,
  fields,
  megabytes,
  noEffect,
  notYet,
  readListen,
  textOrEmpty,
  texts,
} from "./fields.ts";
import type { MiddlewareName } from "./http.ts";
import { httpPoolSchema } from "./pool.ts";

/** Middleware that exists here. */
const MIDDLEWARE: readonly MiddlewareName[] = [
  "headers",
  "gzip",
  "static",
  "sendfile",
  "http_metrics",
  "proxy_ip_parser",
];

function readMiddleware(value: string): MiddlewareName | Refusal {
  const known = MIDDLEWARE.find((name) => name === value);
  if (known !== undefined) return known;
  const near = nearest(value, MIDDLEWARE);
  const list = MIDDLEWARE.join(", ");
  const fix = near === undefined ? `remove it; there are: ${list}` : `write ${near}`;
  return new Refusal(`is no middleware of this version, got ${JSON.stringify(value)}`, fix);
}

const middleware = described(
  z.array(read("middleware", readMiddleware, "Its name.", { example: "gzip" })).superRefine(
    (all, context) => {
      const twice = all.find((name, i) => all.indexOf(name) !== i);
      if (twice === undefined) return;
      refuse(context, new Refusal(`names ${twice} twice`, "remove one of the two"));
    },
  ),
  "list",
  `What requests and answers pass through; the first is the outermost. There are: ${
    MIDDLEWARE.map((name) => `\`${name}\``).join(", ")
  }.`,
  { defaultFrom: "none", example: "[headers, gzip]" },
);

const cors = section("Cross-origin requests.", {
  allowed_origin: text("Origins that may ask, with commas; `*`: all.", { example: "*" }).optional(),
  allowed_origin_regex: read(
    "regular expression",
    (value) => {
      try {
        return new RegExp(value).source;
      } catch {
        // What exactly is wrong differs from engine to engine.
        const got = JSON.stringify(value);
        return new Refusal(`must be a regular expression, got ${got}`, "correct it");
      }
    },
    "Origins that may ask, as an expression.",
    { defaultFrom: "none", example: "^https://.*\\.example\\.com$" },
  ).optional(),
  allowed_headers: textOrEmpty("Headers a request may have, with commas.", { example: "*" })
    .optional(),
  allowed_methods: textOrEmpty("Methods a request may have, with commas.", { example: "GET,POST" })
    .optional(),
  allow_credentials: flag("Cookies and authorization may be sent.", {
    default: HTTP.cors.allow_credentials,
  }).optional(),
  exposed_headers: textOrEmpty("Headers of the answer that scripts may see, with commas.", {
    example: "Cache-Control,Expires",
  }).optional(),
  max_age: count("Seconds for which the answer to a preflight holds. 0: not said.", {
    default: HTTP.cors.max_age,
    min: 0,
    max: 31_536_000,
  }).optional(),
  options_success_status: count("Status of a good answer to a preflight.", {
    default: HTTP.cors.options_success_status,
    min: 200,
    max: 299,
  }).optional(),
  debug: flag("Says in the log why a preflight was refused.", { default: HTTP.cors.debug })
    .optional(),
});

const files = section("Files that are served without a worker, by middleware `static`.", {
  dir: text("Directory of the files.", { default: HTTP.static.dir }).optional(),
  forbid: extensions("Extensions that are left to the worker.").optional(),
  allow: extensions("The only extensions that are served; none: all.").optional(),
  calculate_etag: flag("Send an ETag made of the content.", {
    default: HTTP.static.calculate_etag,
  }).optional(),
  weak: flag("Make the ETag a weak one, of name and size only.", { default: HTTP.static.weak })
    .optional(),
  request: fields("Header fields added to the request.").optional(),
  response: fields("Header fields added to the answer.").optional(),
});

const ssl = section("The TLS address.", {
  address: read("host:port", readAddress, "Address to listen on.", {
    default: `${HTTP.ssl.address.host}:${HTTP.ssl.address.port}`,
  }).optional(),
  redirect: flag("Send plain requests to the TLS address, by 308.", {
    default: HTTP.ssl.redirect,
  }).optional(),
  cert: text("PEM file of the certificate, with its chain.", { example: "tls/server.crt" }),
  key: text("PEM file of the key.", { example: "tls/server.key" }),
  root_ca: notYet("certificates of clients are not checked", "remove it", isEmpty),
  rootCa: notYet("certificates of clients are not checked", "remove it", isEmpty),
  client_auth_type: notYet(
    "certificates of clients are not checked",
    "remove it, or write no_client_certs",
    (value) => value === "no_client_certs" || isEmpty(value),
  ),
  acme: notYet(
    "certificates are not fetched by ACME",
    "remove acme, and name files in cert and key (certbot renews them)",
  ),
});

const HTTP1 = "put a server that speaks it in front";

/** The section as a schema. */
export const httpSchema = section("HTTP requests for workers (RoadRunner).", {
  address: read(
    "host:port or unix://path",
    readListen,
    "Address to listen on; `unix:///run/app/http.sock` for a Unix socket.",
    { defaultFrom: "only TLS, which `ssl` describes", example: "127.0.0.1:8080" },
  ).optional(),
  internal_error_code: count(
    "Status for an error that a worker reports; when written, also for a worker that ended, took too long, or was not free.",
    { defaultFrom: "500, and 502, 504, 503", example: 500, min: 400, max: 599 },
  ).optional(),
  access_logs: flag("One line in the log for each request.", { default: HTTP.access_logs })
    .optional(),
  max_request_size: megabytes(
    "Largest body of a request: megabytes, or a size. 0: the default.",
    { default: HTTP.max_request_size, example: "64" },
  ).optional(),
  raw_body: flag("Give forms to the worker as they came.", { default: HTTP.raw_body }).optional(),
  encoding: oneOf(
    ["json", "protobuf"],
    "How requests are written for workers. (Not RoadRunner's key.)",
    { default: HTTP.encoding },
  ).optional(),
  middleware: middleware.optional(),
  trusted_subnets: described(
    z.array(read("address block", readCidr, "Block of addresses.", { example: "10.0.0.0/8" })),
    "list of address blocks",
    "Peers whose word about the client's address is believed; needs middleware `proxy_ip_parser`.",
    { defaultFrom: "none", example: "[10.0.0.0/8]" },
  ).optional(),
  trusted_headers: texts("Header fields that may name the client's address, best first.", {
    defaultFrom: HTTP.trusted_headers.join(", "),
    example: "[X-Forwarded-For]",
  }).optional(),
  uploads: section("Files that requests bring.", {
    dir: textOrEmpty("Directory of the temporary files.", {
      defaultFrom: "`TMPDIR`, or `/tmp`",
      example: "/var/tmp/app",
    }).optional(),
    forbid: extensions("Extensions that are refused.").optional(),
    allow: extensions("The only extensions that are taken; none: all.").optional(),
  }).optional(),
  headers: section("Fixed header fields and CORS, by middleware `headers`.", {
    cors: cors.optional(),
    request: fields("Header fields added to the request.").optional(),
    response: fields("Header fields added to the answer.").optional(),
  }).optional(),
  static: files.optional(),
  ssl: ssl.optional(),
  pool: httpPoolSchema.optional(),
  timeouts: section("Limits on waiting. 0: no limit. (Not RoadRunner's.)", {
    header: duration("For a client to send a whole request head.", {
      default: HTTP.timeouts.header,
    }).optional(),
    idle: duration("For a connection without a request.", { default: HTTP.timeouts.idle })
      .optional(),
    send: duration("For a client to take the next bytes.", { default: HTTP.timeouts.send })
      .optional(),
  }).optional(),
  limits: section("Limits on size. 0: no limit. (Not RoadRunner's.)", {
    header_bytes: size("Bytes of a request head.", { default: HTTP.limits.header_bytes })
      .optional(),
    headers: count("Headers of a request.", {
      default: HTTP.limits.headers,
      min: 0,
      max: 100_000,
    }).optional(),
  }).optional(),
  drain_timeout: duration(
    "Longest time a retired pool may take to finish the requests it holds. (Not RoadRunner's.)",
    { default: HTTP.drain_timeout },
  ).optional(),
  http2: section("HTTP/2, which does not exist here yet.", {
    h2c: notYet("only HTTP/1.1 is spoken", `remove it; ${HTTP1}`, (value) => value === false),
    max_concurrent_streams: noEffect("only HTTP/1.1 is spoken"),
  }).optional(),
  http3: notYet("only HTTP/1.1 is spoken", `remove it; ${HTTP1}`),
  fcgi: notYet("requests come by HTTP only", "remove it, and let the web server use http.address"),
});

function isEmpty(value: unknown): boolean {
  return typeof value === "string" && value.trim() === "";
}

/** What the schema leaves. */
export type HttpValues = z.output<typeof httpSchema>;
