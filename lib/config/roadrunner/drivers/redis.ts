/**
 * The driver `redis`: under which names jobs lie there, and when those of a daemon that vanished come
 * back. RoadRunner has none; the section has the keys of its key-value store.
 */

import * as z from "zod";
import { JOB_DRIVERS } from "../../defaults.ts";
import { readAddress, Refusal } from "../../names.ts";
import { count, described, duration, read, refuse, section, text } from "../../schema/fields.ts";
import { noEffect, notYet, textOrEmpty } from "../fields.ts";
import { type BrokerSchema, compareBroker, type DriverSchema } from "./driver.ts";
import { type BrokerTls, brokerTls, checkBrokerTls, completeBrokerTls } from "./tls.ts";

const PRESET = JOB_DRIVERS.redis;
/** As long as a daemon may stand still without losing what it holds. */
const VISIBILITY = { min: 1000, max: 24 * 3_600_000 };

/** `redis` */
export interface RedisBroker {
  addr: { host: string; port: number } | { path: string };
  username?: string;
  password?: string;
  db: number;
  tls?: BrokerTls;
}

/** `config` of a pipeline in Redis. */
export interface RedisConfig {
  /** All keys begin with it. */
  prefix: string;
  /** Without a word of a daemon for so long, its jobs are others'. Milliseconds. */
  visibility_timeout: number;
}

function readAddr(written: string): RedisBroker["addr"] | Refusal {
  const path = /^unix:\/\/(.+)$/.exec(written)?.[1];
  if (path !== undefined) return { path };
  const fix = `write e.g. ${PRESET.broker.addr}`;
  if (/^rediss?:\/\//.test(written)) {
    const what = `must be host:port, got ${JSON.stringify(written)}`;
    return new Refusal(what, `${fix}, and username, password, db and tls as keys beside it`);
  }
  return readAddress(written.includes(":") ? written : `${written}:6379`);
}

const address = read("host:port", readAddr, "Where it is: `host:port`, or `unix://path`.", {
  default: PRESET.broker.addr,
  example: "redis.example:6379",
});
const sentinel = notYet("we know no Sentinel", "name the address of the master");
const cluster = notYet("we know no Redis Cluster", "name one server that is no part of a cluster");
const POOL = "there is one connection, and one for each pipeline that waits";
const LIMITS = "every command has a deadline, and lost connections are redialled for ever";

const schema = section("Redis, for pipelines of the driver `redis`.", {
  addr: address.optional(),
  addrs: described(z.array(address), "list", "As `addr`: a list of exactly one.", {
    defaultFrom: "none",
    example: `["${PRESET.broker.addr}"]`,
  }).optional(),
  username: textOrEmpty("Who we are.", { defaultFrom: "Redis's default user", example: "shop" })
    .optional(),
  password: textOrEmpty("The password.", { defaultFrom: "none", example: "$REDIS_PASSWORD" })
    .optional(),
  db: count("Number of the database.", {
    default: PRESET.broker.db,
    min: 0,
    max: 1_000_000,
    example: 1,
  }).optional(),
  tls: brokerTls.optional(),
  master_name: sentinel,
  sentinel_password: sentinel,
  route_by_latency: cluster,
  route_randomly: cluster,
  read_only: cluster,
  dial_timeout: noEffect(LIMITS),
  read_timeout: noEffect(LIMITS),
  write_timeout: noEffect(LIMITS),
  max_retries: noEffect(LIMITS),
  min_retry_backoff: noEffect(LIMITS),
  max_retry_backoff: noEffect(LIMITS),
  pool_size: noEffect(POOL),
  min_idle_conns: noEffect(POOL),
  max_conn_age: noEffect(POOL),
  pool_timeout: noEffect(POOL),
  idle_timeout: noEffect(POOL),
  idle_check_freq: noEffect(POOL),
}).superRefine(({ addr, addrs }, context) => {
  if (addrs === undefined) return;
  const several = addrs.length === 1 ? undefined : `has ${addrs.length} addrs, and must have one`;
  const what = addr === undefined ? several : "has both addr and addrs";
  const fix = addr === undefined
    ? "name one server; Redis Cluster and Sentinel are not supported"
    : "remove addrs";
  if (what !== undefined) refuse(context, new Refusal(what, fix));
});

const broker: BrokerSchema<RedisBroker> = {
  preset: {
    addr: readAddr(PRESET.broker.addr) as RedisBroker["addr"],
    db: PRESET.broker.db,
  },
  section: {
    schema,
    roadrunner: true,
    complete(value, place): RedisBroker {
      const { addr, addrs, username, password, db, tls } = value as z.output<typeof schema>;
      const at = addr ?? addrs?.[0] ?? broker.preset.addr;
      return {
        addr: "path" in at ? { path: place.absolute(at.path, ["addr"]) } : at,
        username,
        password,
        db: db ?? PRESET.broker.db,
        tls: tls && completeBrokerTls(tls, place),
      };
    },
    compare: compareBroker("redis"),
    check: (value) => checkBrokerTls("redis", (value as RedisBroker).tls),
  },
};

/** See the file's comment. */
export const redis: DriverSchema<RedisConfig> = {
  name: "redis",
  prefetch: PRESET.prefetch,
  keys: {
    prefix: text("redis: what all keys begin with.", {
      default: PRESET.prefix,
      example: "shop:jobs:",
    }).optional(),
    visibility_timeout: duration(
      "redis: how long after its last sign of life the jobs of a daemon that vanished come back.",
      { default: PRESET.visibility_timeout, ...VISIBILITY },
    ).optional(),
  },
  live: [],
  complete: ({ prefix, visibility_timeout }) => ({
    prefix: prefix as string | undefined ?? PRESET.prefix,
    visibility_timeout: visibility_timeout as number | undefined ?? PRESET.visibility_timeout,
  }),
  broker,
};
