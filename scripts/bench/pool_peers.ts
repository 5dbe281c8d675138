/**
 * Who serves HTTP by workers, side by side: our daemon, and RoadRunner when `rr` is on the PATH.
 *
 * Invariant: everybody runs the same workers with the same number of them; one that is not there is
 * named, never replaced.
 */

import { join } from "@std/path";
import { stringify } from "@std/yaml";
import { startDaemon } from "../../tests/kit/daemon.ts";
import { freePort } from "../../tests/kit/ports.ts";
import { fixture, type Yaml } from "../../tests/kit/programs.ts";
import { Scratch } from "../../tests/kit/scratch.ts";
import { until } from "../../tests/kit/wait.ts";

const HERE = new URL(".", import.meta.url).pathname;

/** Worker scripts by name. */
export const WORKERS: Record<string, string[]> = {
  "PHP": ["php", fixture("php/hello.php")],
  "kit on Deno": [
    Deno.execPath(),
    "run",
    "--allow-env",
    "--allow-read",
    "--no-lock",
    join(HERE, "peers", "hello_worker.ts"),
  ],
};

/** A server that is up. */
export interface Served extends AsyncDisposable {
  port: number;
  /** The process whose processor time counts. */
  pid: number;
}

/** The sections that both understand. */
export function sectionsFor(command: string[], port: number, pool: Yaml): Yaml {
  return {
    version: "3",
    server: { command },
    http: { address: `127.0.0.1:${port}`, pool },
  };
}

/** Our daemon with these sections. */
export async function serveOurs(command: string[], pool: Yaml) {
  const port = freePort();
  const daemon = await startDaemon(
    { config: sectionsFor(command, port, pool) },
    "bench-pool.log",
  );
  try {
    await answering(port);
  } catch (error) {
    await daemon[Symbol.asyncDispose]();
    throw error;
  }
  return Object.assign(daemon, { workers: port });
}

/** RoadRunner with them. @returns a text when it cannot run here: why */
export async function serveRoadRunner(command: string[], pool: Yaml): Promise<Served | string> {
  const scratch = new Scratch();
  const port = freePort();
  const rpc = { listen: `tcp://127.0.0.1:${freePort()}` };
  const logs = { mode: "none" };
  const config = { ...sectionsFor(command, port, pool), rpc, logs };
  const file = scratch.write(".rr.yaml", stringify(config));
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command("rr", {
      args: ["serve", "-c", file],
      cwd: scratch.dir,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
  } catch (error) {
    scratch[Symbol.dispose]();
    return `rr is not installed (${(error as Error).message})`;
  }
  const stop = async () => {
    child.kill("SIGTERM");
    await child.status;
    scratch[Symbol.dispose]();
  };
  try {
    await answering(port);
  } catch (error) {
    await stop();
    return `rr does not serve: ${(error as Error).message}`;
  }
  return { port, pid: child.pid, [Symbol.asyncDispose]: stop };
}

async function answering(port: number): Promise<void> {
  await until(`an answer at port ${port}`, async () => {
    const response = await fetch(`http://127.0.0.1:${port}/`);
    await response.body?.cancel();
    return response.status === 200;
  });
}
