/**
 * The real PM2, from the npm registry, with a home of its own in the test's directory.
 *
 * Invariant: fetched once for all tests; a test that needs it is skipped only when the registry cannot
 * be reached, and says so.
 */

import { fromFileUrl, join } from "@std/path";
import { type CommandResult, type Daemon, daemonTest } from "./daemon.ts";
import { Legacy } from "./legacy.ts";

const VERSION = "7.0.4";
const PLACE = fromFileUrl(new URL(`../../.cache/pm2-${VERSION}`, import.meta.url));
const BIN = join(PLACE, "node_modules/.bin");

/** What npm says when it cannot reach a registry. */
const AWAY = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|network/;

/** Fetches PM2. @returns why it cannot be used, or undefined */
function fetched(): string | undefined {
  if (isThere()) return undefined;
  const made = Deno.makeTempDirSync({ dir: join(PLACE, ".."), prefix: "pm2-" });
  const { success, stderr } = new Deno.Command("npm", {
    args: [
      ...["install", "--prefix", made, "--no-audit", "--no-fund", "--omit=optional", "--silent"],
      ...["--fetch-retries=1", "--fetch-timeout=20000", `pm2@${VERSION}`],
    ],
    stdin: "null",
    stdout: "null",
  }).outputSync();
  const said = new TextDecoder().decode(stderr);
  if (success) {
    try {
      Deno.renameSync(made, PLACE);
      return undefined;
    } catch (error) {
      // Another test has fetched it meanwhile.
      if (!isThere()) throw error;
    }
  }
  Deno.removeSync(made, { recursive: true });
  if (success) return undefined;
  if (AWAY.test(said)) return `the npm registry cannot be reached: ${said.split("\n")[0]}`;
  throw new Error(`npm install pm2@${VERSION}: ${said}`);
}

function isThere(): boolean {
  try {
    return Deno.statSync(join(BIN, "pm2")).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** PM2 and what it runs; gone when the scope ends. */
export class Pm2 implements AsyncDisposable {
  readonly #daemon: Daemon;
  readonly legacy: Legacy;

  constructor(daemon: Daemon) {
    this.#daemon = daemon;
    this.legacy = new Legacy(daemon.dir);
  }

  /** Runs `pm2`, which must succeed. */
  async ok(...args: string[]): Promise<CommandResult> {
    const result = await this.#daemon.run(["pm2", ...args]);
    if (result.code === 0) return result;
    throw new Error(`pm2 ${args.join(" ")}: ${result.stdout}${result.stderr}`);
  }

  /** Names of the apps that it watches over. */
  async names(): Promise<string[]> {
    const apps: { name: string }[] = (await this.ok("jlist", "--silent")).json();
    return apps.map(({ name }) => name).sort();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.legacy[Symbol.asyncDispose]();
  }
}

/** The directory of the real `pm2`, for PATH, and why it cannot be used, if so. */
export function findPm2(): { bin: string; trouble: string | undefined } {
  Deno.mkdirSync(join(PLACE, ".."), { recursive: true });
  return { bin: BIN, trouble: fetched() };
}

/** As daemonTest, with the real `pm2` in PATH. */
export function pm2Test(...[name, options, body]: Parameters<typeof daemonTest>): void {
  const { bin, trouble } = findPm2();
  if (trouble !== undefined) {
    Deno.test.ignore(`${name} (${trouble})`, () => {});
    return;
  }
  const env = { ...options.env, PATH: `${bin}:${Deno.env.get("PATH")}`, PM2_DISCRETE_MODE: "true" };
  daemonTest(name, { ...options, env }, body);
}
