/**
 * The driver `nats`: pipelines of one broker address share a connection.
 *
 * Invariant: nothing is connected before a pipeline is opened, nor after the last was closed.
 */

import type { NatsBroker } from "../../../lib/config/roadrunner/drivers/nats.ts";
import { Failure, messageOf } from "../../../lib/core/failure.ts";
import type { DriverHost, DriverKind, DriverRecipe } from "../driver.ts";
import { Links } from "../link.ts";
import { accountInfo } from "./api.ts";
import { NatsConnection, whom } from "./connection.ts";
import { CAN, NatsDriver } from "./driver.ts";

const FIX = "see whether nats-server runs, and whether nats.addr is right";

/** See the file's comment. */
export const nats: DriverRecipe = {
  name: "nats",
  can: CAN,
  kind,
  async check(_, broker, { clock }, signal) {
    const { addr } = broker as NatsBroker;
    let connection: NatsConnection | undefined;
    try {
      connection = await NatsConnection.dial(broker as NatsBroker, clock, signal);
      await accountInfo(connection);
    } catch (error) {
      if (error instanceof Failure) throw error;
      throw new Failure(`${whom({ addr })}: ${messageOf(error)}`, { fix: FIX, cause: error });
    } finally {
      await connection?.close();
    }
  },
};

function kind(host: DriverHost): DriverKind {
  const { clock } = host;
  const links = new Links<NatsConnection>(clock);
  return {
    create(pipeline, settings, section) {
      const broker = section as NatsBroker;
      const key = JSON.stringify(broker);
      const spec = {
        whom: whom(broker),
        fix: FIX,
        dial: (signal: AbortSignal) => NatsConnection.dial(broker, clock, signal),
      };
      return new NatsDriver(pipeline, settings, host, spec.whom, () => ({
        link: links.borrow(key, spec),
        giveBack: () => links.giveBack(key),
      }));
    },
    [Symbol.asyncDispose]: () => links[Symbol.asyncDispose](),
  };
}
