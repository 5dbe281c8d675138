/** Places at a NATS server for the jobs of one test: each bench has streams of its own. */

import { JOB_DRIVERS } from "../../../lib/config/defaults.ts";
import type { NatsBroker, NatsConfig } from "../../../lib/config/roadrunner/drivers/nats.ts";
import { nats } from "../../../plugins/jobs/nats/recipe.ts";
import { DriverBench } from "./bench.ts";

const { broker: _, prefetch, ...PRESET } = JOB_DRIVERS.nats;

let made = 0;

/** See the file's comment. */
export class NatsBench extends DriverBench<NatsBroker, NatsConfig> {
  constructor(address: string, more: Partial<NatsBroker> = {}) {
    const own = `s${Date.now()}-${++made}`;
    super({
      recipe: nats,
      broker: { addr: `nats://${address}`, ...more },
      prefetch,
      config(pipeline, more) {
        const name = `${own}-${new TextEncoder().encode(pipeline).toHex()}`;
        return { ...PRESET, stream: name, subject: `${name}.jobs`, ...more };
      },
    });
  }
}
