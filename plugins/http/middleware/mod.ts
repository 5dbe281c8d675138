/**
 * Middleware of the http plugin: what requests and answers pass through, in the order of the file.
 *
 * Invariants: the first one listed is the outermost; none reads a body into memory; whatever one of
 * them wraps still is an exchange, with everything that the front's own promises.
 */

import type { HttpConfig, MiddlewareName } from "../../../lib/config/roadrunner/http.ts";
import type { Middleware, MiddlewareHost } from "./contract.ts";
import { gzip } from "./gzip.ts";
import { headers } from "./headers.ts";
import { httpMetrics } from "./http_metrics.ts";
import { proxyIpParser } from "./proxy_ip_parser.ts";
import { redirect } from "./redirect.ts";
import { sendfile } from "./sendfile.ts";
import { serveStatic } from "./static.ts";

export type { Middleware, MiddlewareHost } from "./contract.ts";

const MAKERS: Record<MiddlewareName, (config: HttpConfig, host: MiddlewareHost) => Middleware> = {
  headers: (config, host) => headers(config.headers, host),
  gzip: () => gzip(),
  static: (config, host) => serveStatic(config.static, host),
  sendfile: (_, host) => sendfile(host),
  http_metrics: (_, host) => httpMetrics(host),
  proxy_ip_parser: proxyIpParser,
};

/**
 * All middleware of a configuration as one; `ssl.redirect` is outside of it.
 * @throws Failure when one cannot work (the directory of static files is missing)
 */
export function middleware(config: HttpConfig, host: MiddlewareHost): Middleware {
  const chain = config.middleware.map((name) => MAKERS[name](config, host));
  if (config.ssl?.redirect) chain.unshift(redirect(config.ssl));
  return (next) => chain.reduceRight((inner, one) => one(inner), next);
}
