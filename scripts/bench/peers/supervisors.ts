/**
 * Other supervisors at rest: pm2 (npm) and supervisord (Debian package `supervisor`), each with
 * nothing to supervise.
 *
 * Invariant: one that is not there is named, never replaced; what is started here is ended here.
 */

import { join } from "@std/path";
import { CACHE } from "../../lib/project.ts";
import { run } from "../../lib/run.ts";
import { residentBytes } from "../../soak/vitals.ts";
import { megabytes, milliseconds, type Print } from "../report.ts";

const PM2 = "pm2@7.0.4";
const INSTALL_LIMIT = 120_000;
const START_LIMIT = 20_000;
const REST = 5_000;

const rest = () => new Promise((resolve) => setTimeout(resolve, REST));

async function pm2(home: string): Promise<string> {
  const folder = join(CACHE, "bench");
  const program = join(folder, "node_modules", ".bin", "pm2");
  const install = ["npm", "install", "--no-audit", "--no-fund", "--prefix", folder, PM2];
  Deno.mkdirSync(folder, { recursive: true });
  const { code } = await run(install, { limit: INSTALL_LIMIT });
  if (code !== 0) return "skipped: npm could not install it";
  const env = { PM2_HOME: home };
  const begin = performance.now();
  try {
    const { code } = await run([program, "ping"], { env, limit: START_LIMIT });
    const ms = performance.now() - begin;
    if (code !== 0) return "skipped: it does not start";
    await rest();
    const pid = Number(Deno.readTextFileSync(join(home, "pm2.pid")));
    return `start ${milliseconds(ms)}, resident ${megabytes(residentBytes(pid))}`;
  } finally {
    await run([program, "kill"], { env, limit: START_LIMIT });
  }
}

async function supervisord(home: string): Promise<string> {
  const file = join(home, "supervisord.conf");
  Deno.writeTextFileSync(
    file,
    `[supervisord]\nnodaemon=true\nlogfile=${home}/log\npidfile=${home}/pid\n`,
  );
  const child = new Deno.Command("supervisord", {
    args: ["-c", file],
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    await rest();
    return `resident ${megabytes(residentBytes(child.pid))}`;
  } finally {
    child.kill("SIGTERM");
    await child.status;
  }
}

/** Measures and prints whatever is there. */
export async function measurePeers(print: Print): Promise<void> {
  for (const [name, measure] of Object.entries({ pm2, supervisord })) {
    const home = Deno.makeTempDirSync({ prefix: `bench-${name}-` });
    try {
      print(`${name}: ${await measure(home)}`);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      print(`${name}: skipped: it is not installed`);
    } finally {
      Deno.removeSync(home, { recursive: true });
    }
  }
}
