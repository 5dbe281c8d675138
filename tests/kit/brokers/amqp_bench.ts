/** Places at a RabbitMQ for the jobs of one test: each bench has an exchange and queues of its own. */

import {
  amqp as schema,
  type AmqpBroker,
  type AmqpConfig,
} from "../../../lib/config/roadrunner/drivers/amqp.ts";
import { amqp } from "../../../plugins/jobs/amqp/recipe.ts";
import { DriverBench } from "./bench.ts";

let made = 0;

/** See the file's comment. What is given to config() is as in the file. */
export class AmqpBench extends DriverBench<AmqpBroker, AmqpConfig, Record<string, unknown>> {
  constructor(address: string, more = "") {
    const own = `bench ${++made}`;
    super({
      recipe: amqp,
      broker: { addr: `amqp://guest:guest@${address}/${more}` },
      // The suite takes that many and ends none before the last.
      prefetch: 20_000,
      config(pipeline, written) {
        const queue = `${own}/${pipeline}`;
        const places = { exchange: own, queue, durable: true, exchange_durable: true };
        return schema.complete({ ...places, ...written }, pipeline, (path) => path);
      },
    });
  }
}
