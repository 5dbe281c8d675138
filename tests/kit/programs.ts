/**
 * The programs that tests let run: tests/fixtures, ready to stand in a configuration.
 *
 * Invariant: needs nothing but Deno and `sh`, and does not depend on this repository's own
 * configuration or lock file.
 */

import { fromFileUrl } from "@std/path";
import { freeRange } from "./ports.ts";

/** Absolute path of a file in tests/fixtures. */
export function fixture(name: string): string {
  return fromFileUrl(new URL(`../fixtures/${name}`, import.meta.url));
}

/** The command line of a fixture, as a list (no shell between). */
export function program(name: string, ...args: string[]): string[] {
  return name.endsWith(".sh")
    ? ["/bin/sh", fixture(name), ...args]
    : [Deno.execPath(), "run", "-A", "--quiet", "--no-config", "--no-lock", fixture(name), ...args];
}

/**
 * Where the runtime keeps what it has fetched and compiled: programs under test have another HOME, and
 * shall neither fetch it again nor compile it again.
 */
export function runtimeCache(): string {
  return Deno.env.get("DENO_DIR") ?? `${Deno.env.get("HOME") ?? "/root"}/.cache/deno`;
}

/** A piece of configuration. */
export type Yaml = Record<string, unknown>;

/**
 * A proxied process that runs fixtures/web.mjs; `overrides` replace or add keys. Each release says
 * how it behaves in its own `web.json` (see the fixture).
 */
export function webProcess(overrides: Yaml = {}): Yaml {
  return {
    policy: "proxied",
    command: program("web.mjs", "--port", "{{port}}"),
    port: freeRange(20),
    health: { path: "/ping", interval: "20ms", timeout: "15s" },
    ...overrides,
  };
}
