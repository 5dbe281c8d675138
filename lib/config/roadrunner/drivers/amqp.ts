/**
 * The driver `amqp`: its exchange and its queue, in RoadRunner's first form (all keys beside each
 * other) and its second (`version: 2`, maps `exchange` and `queue`).
 *
 * Invariant: both forms become one AmqpConfig; whatever a pipeline does not write is as RoadRunner has
 * it, but for the queue: one that is not named is named after the pipeline, and lasts.
 */

import * as z from "zod";
import { JOB_DRIVERS } from "../../defaults.ts";
import { Refusal } from "../../names.ts";
import { count, described, flag, read, section, text } from "../../schema/fields.ts";
import type { SectionProblem } from "../../sections.ts";
import { noEffect, textOrEmpty } from "../fields.ts";
import { type BrokerSchema, compareBroker, type DriverSchema, type Written } from "./driver.ts";
import { type BrokerTls, brokerTls, checkBrokerTls, completeBrokerTls } from "./tls.ts";

const PRESET = JOB_DRIVERS.amqp;

/** `amqp` */
export interface AmqpBroker {
  /** `amqp://user:password@host:port/vhost`, or `amqps://…`. */
  addr: string;
  tls?: BrokerTls;
}

/** `config` of a pipeline at RabbitMQ. */
export interface AmqpConfig {
  exchange: {
    name: string;
    type: string;
    durable: boolean;
    auto_delete: boolean;
    /** It is made when it is not there. */
    declare: boolean;
  };
  queue: {
    /** Empty: jobs are pushed to the exchange, and nothing is taken. */
    name: string;
    routing_key: string;
    durable: boolean;
    auto_delete: boolean;
    exclusive: boolean;
    delete_on_stop: boolean;
    /** A job that a worker gave up, without dead letters, goes back instead of away. */
    requeue_on_fail: boolean;
    /** Undefined: a name made for each daemon. */
    consumer_id?: string;
    /** Arguments of the queue: `x-queue-type` and others. */
    headers: Readonly<Record<string, string | number | boolean>>;
    declare: boolean;
  };
}

/** Bytes of a queue's name: RabbitMQ's limit is 255, and ours for delayed jobs are longer. */
const MAX_QUEUE_NAME = 200;

const headers = (what: string) =>
  described(
    z.record(
      z.string(),
      described(
        z.union([z.int(), z.boolean(), z.string()]),
        "text, number, or true or false",
        "Value.",
      ),
    ),
    "map",
    what,
    { defaultFrom: "none", example: "{ x-queue-type: quorum }" },
  ).optional();
const no = (description: string) => flag(description, { default: false }).optional();
/** As `no`, of the first form. */
const unset = (description: string) => flag(description, { defaultFrom: "`false`" }).optional();
const REDIAL = "lost connections are redialled for ever";
const MULTIPLE = "each job is acknowledged by itself, when it has ended";
const ALL = "jobs of strangers are always taken";

const exchange = section("amqp, `version: 2`: the exchange.", {
  name: textOrEmpty("Its name.", { default: PRESET.exchange.name }).optional(),
  type: text("`direct`, `fanout`, `topic` or `headers`.", {
    default: PRESET.exchange.type,
    example: "fanout",
  }).optional(),
  durable: no("Survives a restart of RabbitMQ."),
  auto_delete: no("Goes with its last queue."),
  declare: flag("Make it when it is not there.", { default: true, example: false }).optional(),
});

const queue = section("amqp, `version: 2`: the queue.", {
  name: textOrEmpty("Its name.", { defaultFrom: "the pipeline's", example: "mail" }).optional(),
  routing_key: textOrEmpty("What binds it to the exchange.", { defaultFrom: "its name" })
    .optional(),
  durable: flag("Survives a restart of RabbitMQ, and its jobs do.", {
    defaultFrom: "false, as RoadRunner's; true where no name is written",
  }).optional(),
  auto_delete: no("Goes with its last consumer."),
  exclusive: no("For our connection only, and gone with it."),
  delete_on_stop: no("Deleted, with its jobs, when the pipeline is closed."),
  multiple_ack: noEffect(MULTIPLE),
  requeue_on_fail: no("A job that would be dropped goes back to the queue instead."),
  consumer_id: textOrEmpty("Name of the consumer.", { defaultFrom: "made up" }).optional(),
  headers: headers("Arguments of the queue."),
  declare: flag("Make it when it is not there.", { default: true, example: false }).optional(),
});

type Exchange = z.output<typeof exchange>;
type Queue = z.output<typeof queue>;

/** The keys; those of the first form are read by {@linkcode firstForm}. */
const keys = {
  version: count("amqp: 1: keys beside each other; 2: maps `exchange` and `queue`.", {
    defaultFrom: "`1`",
    example: 2,
    min: 1,
    max: 2,
  }).optional(),
  exchange: described(
    z.union([textOrEmpty("Its name."), exchange]),
    "text or map",
    "amqp: the exchange: its name; with `version: 2` a map.",
    { defaultFrom: `\`${PRESET.exchange.name}\``, example: "orders" },
  ).optional(),
  queue: described(
    z.union([textOrEmpty("Its name."), queue]),
    "text or map",
    "amqp: the queue: its name; with `version: 2` a map.",
    { defaultFrom: "the pipeline's name", example: "mail" },
  ).optional(),
  exchange_type: text("amqp: `direct`, `fanout`, `topic` or `headers`.", {
    defaultFrom: "`direct`",
    example: "fanout",
  }).optional(),
  exchange_durable: unset("amqp: the exchange survives a restart of RabbitMQ."),
  exchange_auto_delete: unset("amqp: the exchange goes with its last queue."),
  routing_key: textOrEmpty("amqp: what binds the queue to the exchange.", {
    defaultFrom: "the queue's name",
    example: "mail",
  }).optional(),
  durable: flag("amqp: the queue survives a restart of RabbitMQ, and its jobs do.", {
    defaultFrom: "false, as RoadRunner's; true where no queue is written",
  }).optional(),
  queue_auto_delete: unset("amqp: the queue goes with its last consumer."),
  exclusive: unset("amqp: the queue is for our connection only, and gone with it."),
  delete_queue_on_stop: unset("amqp: it is deleted, with its jobs, when the pipeline is closed."),
  multiple_ack: noEffect(MULTIPLE),
  requeue_on_fail: unset("amqp: a job that would be dropped goes back to the queue instead."),
  consumer_id: textOrEmpty("amqp: name of the consumer.", { defaultFrom: "made up" }).optional(),
  queue_headers: headers("amqp: arguments of the queue."),
  redial_timeout: noEffect(REDIAL),
  consume_all: noEffect(ALL),
};

/** The first form as the second. */
function firstForm(written: Written): { exchange: Exchange; queue: Queue } {
  const own = written as Record<string, never>;
  return {
    exchange: {
      name: own.exchange,
      type: own.exchange_type,
      durable: own.exchange_durable,
      auto_delete: own.exchange_auto_delete,
    },
    queue: {
      name: own.queue,
      routing_key: own.routing_key,
      durable: own.durable,
      auto_delete: own.queue_auto_delete,
      exclusive: own.exclusive,
      delete_on_stop: own.delete_queue_on_stop,
      requeue_on_fail: own.requeue_on_fail,
      consumer_id: own.consumer_id,
      headers: own.queue_headers,
    },
  };
}

const isMap = (value: unknown) => typeof value === "object" && value !== null;

function complete(written: Written, pipeline: string): AmqpConfig {
  const first = firstForm(written);
  const exchange: Exchange = isMap(written.exchange)
    ? { ...first.exchange, ...written.exchange as Exchange }
    : first.exchange;
  const queue: Queue = isMap(written.queue)
    ? { ...first.queue, ...written.queue as Queue }
    : first.queue;
  // Who writes where jobs go and no queue only pushes them.
  const name = queue.name ?? (queue.routing_key === undefined ? queueOf(pipeline) : "");
  return {
    exchange: {
      name: exchange.name ?? PRESET.exchange.name,
      type: exchange.type ?? PRESET.exchange.type,
      durable: exchange.durable ?? PRESET.exchange.durable,
      auto_delete: exchange.auto_delete ?? PRESET.exchange.auto_delete,
      declare: exchange.declare ?? PRESET.exchange.declare,
    },
    queue: {
      name,
      routing_key: queue.routing_key ?? name,
      durable: queue.durable ?? (queue.name === undefined || PRESET.queue.durable),
      auto_delete: queue.auto_delete ?? PRESET.queue.auto_delete,
      exclusive: queue.exclusive ?? PRESET.queue.exclusive,
      delete_on_stop: queue.delete_on_stop ?? PRESET.queue.delete_on_stop,
      requeue_on_fail: queue.requeue_on_fail ?? PRESET.queue.requeue_on_fail,
      consumer_id: queue.consumer_id,
      headers: queue.headers ?? {},
      declare: queue.declare ?? PRESET.queue.declare,
    },
  };
}

/** A queue for a pipeline: its name, but never one of those that we or RabbitMQ make up. */
function queueOf(pipeline: string): string {
  if (pipeline.startsWith("amq.")) return `%${pipeline}`;
  return /\.(?:dead|delayed\.\d+)$/.test(pipeline) ? `${pipeline}%` : pipeline;
}

function check({ queue }: AmqpConfig, pipeline: string): SectionProblem[] {
  const problems: SectionProblem[] = [];
  const field = `jobs.pipelines.${pipeline}`;
  const say = (severity: "error" | "warning", message: string, fix: string) =>
    problems.push({ severity, path: ["driver"], message: `${field}: ${message}`, fix });
  const bytes = new TextEncoder().encode(queue.name).length;
  if (bytes > MAX_QUEUE_NAME) {
    const what = `the name of its queue has ${bytes} bytes, and ${MAX_QUEUE_NAME} are possible`;
    say("error", what, "name another in queue");
  }
  if (queue.name === "") return problems;
  const got = JSON.stringify(queue.name);
  if (queue.exclusive) {
    const what = `the queue ${got} is exclusive, so its jobs are lost with the connection`;
    say("warning", what, "remove exclusive");
  } else if (!queue.durable) {
    const what = `the queue ${got} is not durable, so its jobs are lost when RabbitMQ restarts`;
    const fix = "write durable: true; a queue that is there already must be deleted first";
    say("warning", what, fix);
  }
  return problems;
}

function readAddr(written: string): string | Refusal {
  const fix = "write e.g. amqp://guest:guest@127.0.0.1:5672/";
  if (!/^amqps?:\/\//.test(written)) {
    return new Refusal("must begin with amqp:// or amqps://", fix);
  }
  return URL.canParse(written) ? written : new Refusal("is no address", fix);
}

const brokerSchema = section("RabbitMQ, for pipelines of the driver `amqp` (RoadRunner).", {
  addr: read("address", readAddr, "Where it is, and who we are.", {
    default: PRESET.broker.addr,
    example: "amqps://shop:secret@rabbit.example:5671/shop",
  }).optional(),
  tls: brokerTls.optional(),
});

const broker: BrokerSchema<AmqpBroker> = {
  preset: { ...PRESET.broker },
  section: {
    schema: brokerSchema,
    roadrunner: true,
    complete(value, place): AmqpBroker {
      const { addr, tls } = value as z.output<typeof brokerSchema>;
      return {
        addr: addr ?? PRESET.broker.addr,
        tls: tls && completeBrokerTls(tls, place),
      };
    },
    compare: compareBroker("amqp"),
    check: (value) => checkBrokerTls("amqp", (value as AmqpBroker).tls),
  },
};

/** See the file's comment. */
export const amqp: DriverSchema<AmqpConfig> = {
  name: "amqp",
  prefetch: PRESET.prefetch,
  keys,
  live: [],
  complete,
  check,
  broker,
};
