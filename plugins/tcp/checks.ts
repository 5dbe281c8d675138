/** What `doctor` asks of tcp: the certificates of its servers. */

import type { Config } from "../../lib/config/config.ts";
import { tcpOf } from "../../lib/config/roadrunner/of.ts";
import type { Check } from "../../lib/core/check.ts";
import { tlsCheck } from "../../lib/http/checks.ts";
import type { CheckHost } from "../plugin.ts";

/** The checks of the section. */
export function tcpChecks(config: Config, { machine }: CheckHost): Check[] {
  const pairs = Object.entries(tcpOf(config)?.servers ?? {}).flatMap(([name, { tls }]) =>
    tls === undefined ? [] : [{ field: `tcp.servers.${name}.tls`, ...tls }]
  );
  return tlsCheck("tcp_tls", pairs, machine.clock);
}
