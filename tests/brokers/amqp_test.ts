/** The driver amqp against a real RabbitMQ: what every driver does. */

import { CAN } from "../../plugins/jobs/amqp/driver.ts";
import { rabbitmq } from "../kit/brokers/amqp.ts";
import { AmqpBench } from "../kit/brokers/amqp_bench.ts";
import { BrokerServer } from "../kit/brokers/server.ts";
import { conformance } from "../unit/plugins/jobs/conformance/suite.ts";

const server = await BrokerServer.start(rabbitmq());
Deno.test.afterAll(() => server[Symbol.asyncDispose]());

conformance({
  name: "amqp",
  can: CAN,
  second: 300,
  bench: () => new AmqpBench(server.address),
});
