/** What `doctor` asks of http: its certificate, and the directory of uploads. */

import type { Config } from "../../lib/config/config.ts";
import { httpOf } from "../../lib/config/roadrunner/of.ts";
import type { Check } from "../../lib/core/check.ts";
import { tlsCheck } from "../../lib/http/checks.ts";
import { directoryCheck } from "../../lib/os/checks.ts";
import type { CheckHost } from "../plugin.ts";

/** The checks of the section. */
export function httpChecks(config: Config, { machine }: CheckHost): Check[] {
  const http = httpOf(config);
  if (http === undefined) return [];
  const { ssl, uploads } = http;
  const pairs = ssl === undefined ? [] : [{ field: "http.ssl", cert: ssl.cert, key: ssl.key }];
  return [
    ...tlsCheck("http_tls", pairs, machine.clock),
    directoryCheck("uploads", "directory of uploads", uploads.dir, { foreign: true }),
  ];
}
