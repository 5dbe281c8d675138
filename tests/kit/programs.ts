/**
 * The programs that tests let run: tests/fixtures, ready to stand in a configuration.
 *
 * Invariants: needs nothing but Deno and `sh`, and does not depend on this repository's own
 * configuration or lock file; every user may read what a test gets from here, wherever the repository
 * lies.
 */

import { dirname, fromFileUrl, join } from "@std/path";
import { copyTree } from "./copy_tree.ts";
import { freeRange } from "./ports.ts";

const FIXTURES = fromFileUrl(new URL("../fixtures", import.meta.url));

/** Where they are for programs under test. */
let directory: string | undefined;

/** Absolute path of a file in tests/fixtures, or of its copy. */
export function fixture(name: string): string {
  directory ??= isOpen(FIXTURES) ? FIXTURES : copied(FIXTURES);
  return join(directory, name);
}

/** Whether every user gets into a directory. */
function isOpen(directory: string): boolean {
  for (let at = directory;; at = dirname(at)) {
    if ((Deno.statSync(at).mode! & 0o001) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

/** Copies a directory to where every user gets to; gone when the tests are over. */
function copied(from: string): string {
  const place = Deno.makeTempDirSync({ prefix: "sup-fixtures-" });
  addEventListener("unload", () => Deno.removeSync(place, { recursive: true }));
  const to = join(place, "fixtures");
  copyTree(from, to);
  const { success, stderr } = new Deno.Command("chmod", { args: ["-R", "a+rX", place] })
    .outputSync();
  if (!success) throw new Error(`chmod ${place}: ${new TextDecoder().decode(stderr)}`);
  return to;
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
