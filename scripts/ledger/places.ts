/**
 * Where the jobs of the ledger lie: one place for each driver, with a broker of its own.
 *
 * Invariant: a place says of its driver only what its page in docs/jobs-drivers says.
 */

import { rabbitmq } from "../../tests/kit/brokers/amqp.ts";
import { beanstalkd } from "../../tests/kit/brokers/beanstalk.ts";
import { natsServer } from "../../tests/kit/brokers/nats.ts";
import { redisServer } from "../../tests/kit/brokers/redis.ts";
import { type BrokerRecipe, BrokerServer } from "../../tests/kit/brokers/server.ts";
import type { Yaml } from "../../tests/kit/programs.ts";

/** The pipeline. */
export const PIPELINE = "ledger";

interface Kind {
  /** Jobs survive the end of the daemon. */
  readonly durable: boolean;
  readonly broker?: () => BrokerRecipe;
  /** Jobs that a daemon has at a time, and so those it can have to do again. */
  readonly prefetch: number;
  /** Of the pipeline, besides `driver` and `prefetch`. */
  readonly config: Yaml;
  /** The section of the broker. */
  section?(address: string): Yaml;
}

/** What takes longest is first, so that the others run beside it. */
const KINDS: Readonly<Record<string, Kind>> = {
  amqp: {
    durable: true,
    broker: () => rabbitmq(),
    prefetch: 50,
    config: { exchange: "ledger", queue: "ledger", durable: true, exchange_durable: true },
    section: (address) => ({ amqp: { addr: `amqp://guest:guest@${address}/` } }),
  },
  memory: { durable: false, prefetch: 50, config: {} },
  sqlite: { durable: true, prefetch: 50, config: { file: "ledger.db" } },
  redis: {
    durable: true,
    broker: () => redisServer(),
    prefetch: 50,
    config: { visibility_timeout: "3s" },
    section: (address) => ({ redis: { addr: address } }),
  },
  nats: {
    durable: true,
    broker: () => natsServer(),
    prefetch: 50,
    config: { stream: "ledger", subject: "ledger.jobs", ack_wait: 3 },
    section: (address) => ({ nats: { addr: `nats://${address}` } }),
  },
  beanstalk: {
    durable: true,
    broker: () => beanstalkd(),
    prefetch: 50,
    config: { tube: "ledger" },
    section: (address) => ({ beanstalk: { addr: `tcp://${address}`, timeout: "3s" } }),
  },
};

/** Names of all drivers. */
export const DRIVERS: readonly string[] = Object.keys(KINDS);

/** The place of a driver's jobs. */
export class Place implements AsyncDisposable {
  readonly driver: string;
  readonly kind: Kind;
  readonly broker: BrokerServer | undefined;

  private constructor(driver: string, kind: Kind, broker: BrokerServer | undefined) {
    this.driver = driver;
    this.kind = kind;
    this.broker = broker;
  }

  /** With its broker running. */
  static async open(driver: string): Promise<Place> {
    const kind = KINDS[driver];
    const broker = kind.broker && await BrokerServer.start(kind.broker());
    return new Place(driver, kind, broker);
  }

  /** Sections of the configuration: the broker's, and the pipeline. */
  sections(pipeline: Yaml): { section: Yaml; pipeline: Yaml } {
    const { prefetch, config, section } = this.kind;
    return {
      section: this.broker === undefined ? {} : section!(this.broker.address),
      pipeline: { driver: this.driver, ...pipeline, config: { prefetch, ...config } },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.broker?.[Symbol.asyncDispose]();
  }
}
