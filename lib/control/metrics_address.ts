/**
 * The metrics address of RoadRunner, `metrics.address`: Prometheus text at `/metrics`.
 *
 * | the section  | then                                                                       |
 * | ------------ | -------------------------------------------------------------------------- |
 * | is there     | counting begins before the address is bound; its collectors are declared   |
 * | comes        | the same, from then on                                                     |
 * | changes      | collectors written as before keep their values                             |
 * | goes         | the address closes, its collectors go; what is counted is kept             |
 *
 * Invariant: a scrape changes nothing but gauges; without the section the library is not loaded.
 */

import type { Config } from "../config/config.ts";
import { metricsOf } from "../config/roadrunner/mod.ts";
import type { AddressHost } from "../http/mod.ts";
import type { Rebinding } from "../release/intake.ts";
import type { Prometheus } from "../telemetry/prometheus.ts";
import { SideAddress } from "./side_address.ts";

/** See the file's comment. */
export class MetricsAddress {
  readonly #address: SideAddress;
  readonly #prometheus: Prometheus;
  readonly #host: AddressHost;

  constructor(prometheus: Prometheus, host: AddressHost) {
    this.#prometheus = prometheus;
    this.#host = host;
    this.#address = new SideAddress({
      name: "metrics",
      host,
      whereOf: (config) => metricsOf(config)?.address,
      routes: {
        "/metrics": async () => {
          const { type, text } = await prometheus.expose();
          const headers = { "content-type": type, "cache-control": "no-store" };
          return new Response(text, { headers });
        },
      },
    });
  }

  /** Where it listens, for people; "" when nowhere. */
  get printed(): string {
    return this.#address.printed;
  }

  /** @throws Failure when the address cannot be bound */
  async start(config: Config): Promise<void> {
    const rebinding = await this.rebind(config);
    rebinding?.commit();
    this.configure(config);
  }

  /** @throws Failure when the address cannot be bound */
  async rebind(next: Config): Promise<Rebinding | undefined> {
    if (metricsOf(next) !== undefined) await this.#prometheus.load();
    return this.#address.rebind(next);
  }

  /** Takes on the application's collectors. */
  configure(config: Config): void {
    const collect = metricsOf(config)?.collect ?? {};
    for (const { message } of this.#prometheus.app?.configure(collect) ?? []) {
      this.#host.emit("config_warning", { message });
    }
  }

  /** Takes no more connections, sends the answers that are on their way. */
  drain(): Promise<void> {
    return this.#address.drain();
  }

  /** Ends every connection now. */
  cut(): void {
    this.#address.cut();
  }
}
