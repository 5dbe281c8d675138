/**
 * The metrics address of RoadRunner, `metrics.address`: Prometheus text at `/metrics`.
 *
 * Invariant: a scrape changes nothing but gauges.
 */

import { metricsOf } from "../config/roadrunner/mod.ts";
import type { AddressHost } from "../http/mod.ts";
import type { Prometheus } from "../telemetry/prometheus.ts";
import { SideAddress } from "./side_address.ts";

/** The address, not yet bound. */
export function metricsAddress(
  prometheus: Pick<Prometheus, "expose">,
  outside: AddressHost,
): SideAddress {
  return new SideAddress({
    name: "metrics",
    host: outside,
    whereOf: (config) => metricsOf(config)?.address,
    routes: {
      "/metrics": async () => {
        const { type, text } = await prometheus.expose();
        return new Response(text, {
          headers: { "content-type": type, "cache-control": "no-store" },
        });
      },
    },
  });
}
