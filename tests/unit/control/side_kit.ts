/** What the status and metrics addresses are given: a configuration, and the world around them. */

import { assert } from "@std/assert";
import type { Config } from "../../../lib/config/config.ts";
import type { AddressHost } from "../../../lib/http/mod.ts";
import { realClock } from "../../../lib/os/clock.ts";
import { sections } from "../../../plugins/registry.ts";
import { readFiles } from "../config/kit.ts";

/** What an address is given, and what it told. */
export function outside(): AddressHost & { events: string[] } {
  const events: string[] = [];
  return {
    system: { clock: realClock, listeners: () => [], row: () => undefined },
    emit: (event) => events.push(event),
    events,
  };
}

/** A configuration with this text besides one process. */
export async function configOf(text: string): Promise<Config> {
  const { config, problems } = await readFiles(
    `processes: { a: { command: x } }\n${text}`,
    {},
    sections(),
  );
  assert(config !== undefined, problems.map(({ message }) => message).join("; "));
  return config;
}
