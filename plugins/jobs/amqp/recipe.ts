/** The driver `amqp`: how it is had, and what `doctor` asks of it. */

import type { AmqpBroker, AmqpConfig } from "../../../lib/config/roadrunner/drivers/amqp.ts";
import { Failure, messageOf } from "../../../lib/core/failure.ts";
import type { DriverRecipe } from "../driver.ts";
import { Connections, whomOf } from "./connection.ts";
import { AmqpDriver, CAN } from "./driver.ts";

/** See the file's comment. */
export const amqp: DriverRecipe = {
  name: "amqp",
  can: CAN,
  kind(host) {
    const connections = new Connections(host.clock);
    return {
      create: (pipeline, settings, broker) =>
        new AmqpDriver(pipeline, settings, { host, connections, broker: broker as AmqpBroker }),
      [Symbol.asyncDispose]: () => connections[Symbol.asyncDispose](),
    };
  },
  async check(settings, section, { clock }, signal) {
    const broker = section as AmqpBroker;
    const { queue } = settings.config as AmqpConfig;
    const connections = new Connections(clock);
    try {
      const { main } = await connections.borrow(broker);
      signal.throwIfAborted();
      if (queue.declare || queue.name === "") return;
      const channel = await main.createChannel();
      channel.on("error", () => {}); // the question itself is told of it
      await channel.checkQueue(queue.name);
    } catch (error) {
      throw new Failure(`${whomOf(broker)}: ${messageOf(error)}`, {
        fix: "see whether RabbitMQ runs, and correct amqp.addr and the queue's name",
      });
    } finally {
      await connections[Symbol.asyncDispose]();
    }
  },
};
