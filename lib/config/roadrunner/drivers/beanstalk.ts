/**
 * The driver `beanstalk`: its tube, and where beanstalkd is.
 *
 * Invariant: what a pipeline does not write is as RoadRunner's documentation has it.
 */

import type * as z from "zod";
import { JOB_DRIVERS } from "../../defaults.ts";
import { readAddress, Refusal } from "../../names.ts";
import { read, section } from "../../schema/fields.ts";
import { noEffect, seconds } from "../fields.ts";
import { type BrokerSchema, compareBroker, type DriverSchema } from "./driver.ts";

const PRESET = JOB_DRIVERS.beanstalk;
/** Shorter, and what keeps jobs reserved would come too late; longer than beanstalkd counts. */
const TIMEOUT = { min: 3000, max: 24 * 3_600_000 };
const WAIT = { min: 1000, max: 3_600_000 };

/** `beanstalk` */
export interface BeanstalkBroker {
  addr: { host: string; port: number } | { path: string };
  /** After this the jobs of a daemon that vanished come again. Milliseconds. */
  timeout: number;
}

/** `config` of a pipeline at beanstalkd. */
export interface BeanstalkConfig {
  tube: string;
  /** How long one question for jobs waits there. Milliseconds. */
  reserve_timeout: number;
}

function readAddr(written: string): BeanstalkBroker["addr"] | Refusal {
  const path = /^unix:\/\/(.+)$/.exec(written)?.[1];
  if (path !== undefined) return { path };
  const fix = `write e.g. ${PRESET.broker.addr}`;
  const address = written.replace(/^tcp:\/\//, "");
  if (address === "" || address.includes("://")) {
    return new Refusal(`must be tcp://host:port, got ${JSON.stringify(written)}`, fix);
  }
  const found = readAddress(/:\d*$/.test(address) ? address : `${address}:11300`);
  return found instanceof Refusal ? new Refusal(found.message, fix) : found;
}

/** As beanstalkd has them; `.dead` must fit behind it. */
function readTube(name: string): string | Refusal {
  if (/^[A-Za-z0-9+/;.$_()][-A-Za-z0-9+/;.$_()]{0,194}$/.test(name)) return name;
  const what = 'must be 1 to 195 letters, digits and -+/;.$_(), the first not "-"';
  return new Refusal(`${what}, got ${JSON.stringify(name)}`, "write e.g. shop.mail");
}

const schema = section("beanstalkd, for pipelines of the driver `beanstalk` (RoadRunner).", {
  addr: read("tcp://host:port", readAddr, "Where it is: `tcp://host:port`, or `unix://path`.", {
    default: PRESET.broker.addr,
    example: "tcp://beanstalk.example:11300",
  }).optional(),
  timeout: seconds(
    "How long beanstalkd keeps jobs for a daemon of which it hears nothing (its time-to-run).",
    { default: PRESET.broker.timeout, ...TIMEOUT },
  ).optional(),
});

const broker: BrokerSchema<BeanstalkBroker> = {
  preset: {
    addr: readAddr(PRESET.broker.addr) as BeanstalkBroker["addr"],
    timeout: PRESET.broker.timeout,
  },
  section: {
    schema,
    roadrunner: true,
    complete(value, place): BeanstalkBroker {
      const { addr, timeout } = value as z.output<typeof schema>;
      const at = addr ?? broker.preset.addr;
      return {
        addr: "path" in at ? { path: place.absolute(at.path, ["addr"]) } : at,
        timeout: timeout ?? PRESET.broker.timeout,
      };
    },
    compare: compareBroker("beanstalk"),
  },
};

/** See the file's comment. */
export const beanstalk: DriverSchema<BeanstalkConfig> = {
  name: "beanstalk",
  prefetch: PRESET.prefetch,
  keys: {
    tube: read("tube", readTube, "beanstalk: the tube; dead letters are in `<tube>.dead`.", {
      default: PRESET.tube,
      example: "shop.mail",
    }).optional(),
    reserve_timeout: seconds("beanstalk: how long one question for jobs waits there.", {
      default: PRESET.reserve_timeout,
      ...WAIT,
    }).optional(),
    tube_priority: noEffect("beanstalkd serves jobs by their own `priority`"),
  },
  live: [],
  complete: (written) => {
    const { tube, reserve_timeout } = written as Partial<BeanstalkConfig>;
    return {
      tube: tube ?? PRESET.tube,
      reserve_timeout: reserve_timeout ?? PRESET.reserve_timeout,
    };
  },
  broker,
};
