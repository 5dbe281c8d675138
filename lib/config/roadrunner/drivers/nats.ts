/**
 * The driver `nats` (JetStream): its stream and its subject, and where the servers are.
 *
 * Invariant: what a pipeline does not write is as RoadRunner has it, but for what becomes of jobs that
 * are done: they leave a stream that we make, unless `delete_after_ack: false` is written.
 */

import type * as z from "zod";
import { JOB_DRIVERS } from "../../defaults.ts";
import { Refusal } from "../../names.ts";
import { flag, read, section, text } from "../../schema/fields.ts";
import { noEffect, seconds } from "../fields.ts";
import { notThere } from "../there.ts";
import { type BrokerSchema, compareBroker, type DriverSchema } from "./driver.ts";
import { type BrokerTls, brokerTls, checkBrokerTls, completeBrokerTls } from "./tls.ts";

const PRESET = JOB_DRIVERS.nats;

/** `nats` */
export interface NatsBroker {
  /** `nats://host:port` or `tls://host:port`; several with commas between them. */
  addr: string;
  user?: string;
  password?: string;
  token?: string;
  /** Absolute path of a file of credentials. */
  creds?: string;
  tls?: BrokerTls;
}

/** `config` of a pipeline at NATS. */
export interface NatsConfig {
  stream: string;
  subject: string;
  /** Undefined: as the stream is; one that we make keeps nothing that is done. */
  delete_after_ack?: boolean;
  /** A stream with a past: what is in it already is not done. */
  deliver_new: boolean;
  delete_stream_on_stop: boolean;
  /** Milliseconds after which the jobs of a daemon that vanished come again. */
  ack_wait: number;
}

/** Below a second the messages that keep jobs reserved would be the load. */
const MIN_ACK_WAIT = 1000;

function readStream(name: string): string | Refusal {
  if (/^[^\s.*>/\\]{1,60}$/u.test(name)) return name;
  const what = 'must be 1 to 60 characters without spaces, ".", "*", ">", "/" and "\\"';
  const near = name.replace(/[\s.*>/\\]+/gu, "-").slice(0, 60);
  return new Refusal(`${what}, got ${JSON.stringify(name)}`, `write e.g. ${near || PRESET.stream}`);
}

function readSubject(name: string): string | Refusal {
  const isOne = name.length <= 200 && name.split(".").every((token) => /^[^\s*>]+$/u.test(token));
  if (isOne) return name;
  const what = 'must be words with "." between them, without spaces, "*" and ">"';
  return new Refusal(`${what}, got ${JSON.stringify(name)}`, "write e.g. jobs.mail");
}

function readAddr(written: string): string | Refusal {
  const fix = "write e.g. nats://127.0.0.1:4222; several with commas between them";
  const isOne = (one: string) => /^(?:nats|tls):\/\/\S+$/.test(one) && URL.canParse(one);
  if (written.split(",").every((one) => isOne(one.trim()))) return written;
  return new Refusal("must begin with nats:// or tls://, and name a host", fix);
}

const no = (description: string) => flag(description, { default: false }).optional();

const keys = {
  stream: read("name", readStream, "nats: the stream; it is made when it is not there.", {
    default: PRESET.stream,
    example: "shop",
  }).optional(),
  subject: read("subject", readSubject, "nats: the subject of its jobs, in that stream.", {
    default: PRESET.subject,
    example: "jobs.mail",
  }).optional(),
  delete_after_ack: flag(
    "nats: jobs that are done leave the stream. false: a stream that is made keeps them.",
    { defaultFrom: "true for a stream that is made here, else as RoadRunner's: false" },
  ).optional(),
  deliver_new: no(
    "nats: of a stream that keeps what is done, only jobs that come after our first start.",
  ),
  delete_stream_on_stop: no("nats: the stream goes, with its jobs, when the pipeline is closed."),
  ack_wait: seconds("nats: after this the jobs of a daemon that vanished come again.", {
    default: PRESET.ack_wait,
    min: MIN_ACK_WAIT,
  }).optional(),
  rate_limit: noEffect("RoadRunner does not use it either; write `rate`"),
};

const brokerSchema = section("NATS, for pipelines of the driver `nats` (RoadRunner).", {
  addr: read("address", readAddr, "Where it is.", {
    default: PRESET.broker.addr,
    example: "nats://nats-1.example:4222,nats://nats-2.example:4222",
  }).optional(),
  user: text("User. (Not RoadRunner's.)", { defaultFrom: "none", example: "shop" }).optional(),
  password: text("Password. (Not RoadRunner's.)", {
    defaultFrom: "none",
    example: "$NATS_PASSWORD",
  })
    .optional(),
  token: text("Token, instead of user and password. (Not RoadRunner's.)", {
    defaultFrom: "none",
    example: "$NATS_TOKEN",
  }).optional(),
  creds: text("File of credentials (`.creds`), instead of them. (Not RoadRunner's.)", {
    defaultFrom: "none",
    example: "/etc/shop/nats.creds",
  }).optional(),
  tls: brokerTls.optional(),
});

const broker: BrokerSchema<NatsBroker> = {
  preset: { ...PRESET.broker },
  section: {
    schema: brokerSchema,
    roadrunner: true,
    complete(value, place): NatsBroker {
      const { addr, creds, tls, ...rest } = value as z.output<typeof brokerSchema>;
      return {
        ...rest,
        addr: addr ?? PRESET.broker.addr,
        creds: creds === undefined ? undefined : place.absolute(creds, ["creds"]),
        tls: tls && completeBrokerTls(tls, place),
      };
    },
    compare: compareBroker("nats"),
    check(value) {
      const { creds, tls } = value as NatsBroker;
      const problems = checkBrokerTls("nats", tls);
      const why = creds === undefined ? undefined : notThere(creds, "file");
      if (why !== undefined) {
        const message = `nats.creds: ${why}`;
        problems.push({ severity: "error", path: ["creds"], message, fix: "correct the path" });
      }
      if (tls?.cert !== undefined) {
        // TLS begins behind the server's greeting, where the runtime shows no certificate.
        const message = "nats.tls.cert is not possible yet: we show no certificate to NATS";
        const fix = "remove cert and key, and write user and password, token or creds";
        problems.push({ severity: "error", path: ["tls", "cert"], message, fix });
      }
      return problems;
    },
  },
};

/** See the file's comment. */
export const nats: DriverSchema<NatsConfig> = {
  name: "nats",
  prefetch: PRESET.prefetch,
  keys,
  live: [],
  complete: (written) => {
    const own = written as Partial<NatsConfig>;
    return {
      stream: own.stream ?? PRESET.stream,
      subject: own.subject ?? PRESET.subject,
      delete_after_ack: own.delete_after_ack,
      deliver_new: own.deliver_new ?? PRESET.deliver_new,
      delete_stream_on_stop: own.delete_stream_on_stop ?? PRESET.delete_stream_on_stop,
      ack_wait: own.ack_wait ?? PRESET.ack_wait,
    };
  },
  broker,
};
