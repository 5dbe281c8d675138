/** The driver nats against a real nats-server: what every driver does. */

import { CAN } from "../../plugins/jobs/nats/driver.ts";
import { natsServer } from "../kit/brokers/nats.ts";
import { NatsBench } from "../kit/brokers/nats_bench.ts";
import { BrokerServer } from "../kit/brokers/server.ts";
import { conformance } from "../unit/plugins/jobs/conformance/suite.ts";

const server = await BrokerServer.start(natsServer());
Deno.test.afterAll(() => server[Symbol.asyncDispose]());

conformance({
  name: "nats",
  can: CAN,
  second: 600,
  // A record of its files is at most 32 MiB, and base64 is a third larger.
  max_payload: 24_000_000,
  bench: () => new NatsBench(server.address),
});
