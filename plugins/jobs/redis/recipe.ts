/**
 * The driver `redis`: how its pipelines share connections, and what `doctor` asks of it.
 *
 * Invariant: pipelines of one server, user and database have one connection, and each that waits for
 * jobs one more.
 */

import type { RedisBroker } from "../../../lib/config/roadrunner/drivers/redis.ts";
import { Failure, messageOf } from "../../../lib/core/failure.ts";
import type { DriverRecipe } from "../driver.ts";
import { Links } from "../link.ts";
import { RedisConnection, specOf, whomOf } from "./connection.ts";
import { CAN, RedisDriver } from "./driver.ts";

/** The driver `redis`. */
export const redis: DriverRecipe = {
  name: "redis",
  can: CAN,
  kind({ clock, emit }) {
    const links = new Links<RedisConnection>(clock);
    return {
      create(pipeline, settings, section) {
        const broker = section as RedisBroker;
        const key = JSON.stringify(broker);
        const spec = specOf(broker, clock);
        return new RedisDriver(pipeline, settings, {
          clock,
          emit,
          broker,
          spec,
          borrow: () => links.borrow(key, spec),
          giveBack: () => links.giveBack(key),
        });
      },
      [Symbol.asyncDispose]: () => links[Symbol.asyncDispose](),
    };
  },
  async check(_, section, { clock }, signal) {
    const broker = section as RedisBroker;
    const fix = "start it, or correct the section redis";
    try {
      const connection = await RedisConnection.dial(broker, clock, signal);
      await connection.close();
    } catch (error) {
      if (error instanceof Failure) throw error;
      throw new Failure(`${whomOf(broker)} is not connected: ${messageOf(error)}`, { fix });
    }
  },
};
