/**
 * `events` and `webhooks`: who is told what the daemon did and saw.
 *
 * Invariant: a secret is read and never shown.
 */

import * as z from "zod";
import { EVENTS } from "../defaults.ts";
import { Refusal } from "../names.ts";
import { count, described, read, section, size, text } from "./fields.ts";

/** Hooks that one daemon may have. */
const MAX_WEBHOOKS = 20;

/** The section `events`. */
export const events = section("The events that are kept on disk, in the state directory.", {
  max_size: size("Size after which the next file begins.", {
    default: EVENTS.max_size,
    min: 64 * 1024,
  }).optional(),
  max_files: count("Files kept, the newest included.", {
    default: EVENTS.max_files,
    min: 1,
    max: 100,
  }).optional(),
});

const webhook = section("Somebody who is sent events.", {
  url: read("URL", readUrl, "Where each event is sent by POST, as a CloudEvent.", {
    example: "https://example.org/hook",
  }),
  events: described(
    z.array(read("event", readEvent, "Name of an event, or how names begin and a *.", {
      example: "deploy_*",
    })).min(1),
    "list of events",
    "Which events: names, or beginnings of names with a * (`deploy_*`, `*`).",
    { defaultFrom: "every event that is a warning or an error", example: "[deploy_*]" },
  ).optional(),
  secret: text("Key of the signature in `X-Supervisor-Signature`.", {
    defaultFrom: "no signature",
    example: "${HOOK_SECRET}",
  }).optional(),
});

/** The list `webhooks`. */
export const webhooks = described(
  z.array(webhook).max(MAX_WEBHOOKS),
  "list of maps",
  "Who is sent events as they happen.",
  { defaultFrom: "none" },
);

function readUrl(written: string): string | Refusal {
  const refuse = (what: string) =>
    new Refusal(`${what}, got ${JSON.stringify(written)}`, "write e.g. https://example.org/hook");
  if (!URL.canParse(written)) return refuse("must be a URL");
  const { protocol, username, password } = new URL(written);
  if (!["http:", "https:"].includes(protocol)) return refuse("must begin with https:// or http://");
  if (username === "" && password === "") return written;
  // What is quoted in an error may be read by many.
  return new Refusal("must not hold a name or password", "use `secret`, or a token in the path");
}

function readEvent(written: string): string | Refusal {
  if (/^(?:[a-z]+(?:_[a-z]+)*_?\*?|\*)$/.test(written)) return written;
  const what = `must be the name of an event, or the beginning of one and a *`;
  return new Refusal(`${what}, got ${JSON.stringify(written)}`, "write e.g. deploy_failed");
}
