/** The driver `beanstalk`: how it is had, and what `doctor` asks of it. */

import type { BeanstalkBroker } from "../../../lib/config/roadrunner/drivers/beanstalk.ts";
import { abortable } from "../../../lib/core/clock.ts";
import { Failure, messageOf } from "../../../lib/core/failure.ts";
import type { DriverRecipe } from "../driver.ts";
import { BeanstalkDriver, CAN, FIX } from "./driver.ts";
import { greet } from "./session.ts";
import { whomOf, Wire } from "./wire.ts";

/** See the file's comment. */
export const beanstalk: DriverRecipe = {
  name: "beanstalk",
  can: CAN,
  kind: (host) => ({
    create: (pipeline, settings, broker) =>
      new BeanstalkDriver(pipeline, settings, broker as BeanstalkBroker, host),
    // Each driver has its own connection.
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }),
  async check(_, section, { clock }, signal) {
    const broker = section as BeanstalkBroker;
    const whom = whomOf(broker);
    let wire: Wire | undefined;
    try {
      wire = await Wire.dial(broker, clock, signal);
      await abortable(greet(wire, whom), signal);
    } catch (error) {
      if (error instanceof Failure) throw error;
      throw new Failure(`${whom} is not connected: ${messageOf(error)}`, { fix: FIX });
    } finally {
      await wire?.close();
    }
  },
};
