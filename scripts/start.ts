/**
 * `deno task start`: builds ./supervisor and serves the example application with it until Ctrl-C.
 *
 * | when                               | then                                                     |
 * | ---------------------------------- | -------------------------------------------------------- |
 * | the program cannot be compiled     | says so, runs it from source instead                     |
 * | the example's port is taken        | says so and ends with 1 before anything is started       |
 * | Ctrl-C, SIGTERM                    | passed on, once for each that a person sent              |
 * | the terminal closes (SIGHUP)       | as SIGTERM: to the supervisor SIGHUP means "reload"      |
 * | the `deno task` or npx above dies  | as SIGTERM: neither passes signals on in all cases       |
 * | we are killed                      | the kernel tells the supervisor (where setpriv exists)   |
 * | the supervisor ends                | we end with its exit code                                |
 *
 * Invariant: the supervisor is in a session of its own, so that a Ctrl-C reaches it exactly once,
 * through us; it never outlives us.
 */

import { parse } from "@std/yaml";
import { join, relative } from "@std/path";
import { describe } from "./compile.ts";
import { ancestorsOfTask, isAlive } from "./lib/ancestors.ts";
import { build } from "./lib/build.ts";
import { BINARY, MAIN, ROOT } from "./lib/project.ts";

const EXAMPLE = "examples/hello";
const CONFIG = `${EXAMPLE}/supervisor.yaml`;
const FIRST_RELEASE = "v1";

/** How long the example may take to answer, milliseconds. */
const READY_LIMIT = 30_000;

/** Between two looks at the address, or at the programs above us; milliseconds. */
const LOOK = 50;
const LOOK_UP = 500;

/** The same signal again within this time is the same Ctrl-C, arriving by two ways; milliseconds. */
const ONE_PRESS = 300;

/** What we get, and what the supervisor gets for it. */
const PASSED_ON: [Deno.Signal, Deno.Signal][] = [
  ["SIGINT", "SIGINT"],
  ["SIGTERM", "SIGTERM"],
  ["SIGHUP", "SIGTERM"],
];

/** The command line to start the program with, and how a person would write it. */
interface Program {
  argv: string[];
  words: string;
}

async function program(): Promise<Program> {
  try {
    const built = await build({
      onStart: (output, target) => console.log(`building ${output} for ${target} …`),
    });
    console.log(describe(built));
    return { argv: [BINARY], words: `./${relative(ROOT, BINARY)}` };
  } catch (error) {
    console.error(
      `\nATTENTION: the program cannot be compiled here and runs from source instead.\n` +
        `${(error as Error).message}\n`,
    );
    return {
      argv: [Deno.execPath(), "run", "-A", "--unstable-net", MAIN],
      words: `${denoInWords()} run -A --unstable-net main.ts`,
    };
  }
}

/** How the person who started this task would call Deno. */
function denoInWords(): string {
  return Deno.env.has("npm_command") ? `npx --yes deno@${Deno.version.deno}` : "deno";
}

/** Address of the proxy as the example's configuration has it. */
function proxyAddress(): { hostname: string; port: number } {
  const config = parse(Deno.readTextFileSync(join(ROOT, CONFIG))) as { proxy: { address: string } };
  const [hostname, port] = config.proxy.address.split(":");
  return { hostname, port: Number(port) };
}

function isTaken(address: { hostname: string; port: number }): boolean {
  try {
    Deno.listen(address).close();
    return false;
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return true;
    throw error;
  }
}

/** Whether there is a setpriv that can have a child told of our death. */
async function canTellOfDeath(): Promise<boolean> {
  try {
    const probe = new Deno.Command("setpriv", {
      args: ["--pdeathsig", "TERM", "true"],
      stdout: "null",
      stderr: "null",
    });
    return (await probe.output()).success;
  } catch {
    // No such program: everything works without it, except after a SIGKILL of ours.
    return false;
  }
}

async function serve(argv: string[]): Promise<Deno.ChildProcess> {
  const command = [
    ...(await canTellOfDeath() ? ["setpriv", "--pdeathsig", "TERM"] : []),
    ...argv,
    "serve",
    `--config=${CONFIG}`,
    `--release-path=${EXAMPLE}/releases/${FIRST_RELEASE}`,
    `--release-id=${FIRST_RELEASE}`,
  ];
  return new Deno.Command(command[0], {
    args: command.slice(1),
    cwd: ROOT,
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
    detached: true,
  }).spawn();
}

/** Passes signals on until the child ended. */
function passSignalsOn(child: Deno.ChildProcess): void {
  let ended = false;
  const pass = (signal: Deno.Signal) => {
    // Between its end and our reading of it there is nobody to tell.
    if (!ended) child.kill(signal);
  };
  const last = new Map<Deno.Signal, number>();
  for (const [signal, passed] of PASSED_ON) {
    Deno.addSignalListener(signal, () => {
      const again = performance.now() - (last.get(signal) ?? -Infinity) < ONE_PRESS;
      last.set(signal, performance.now());
      if (!again) pass(passed);
    });
  }
  const above = ancestorsOfTask();
  const watch = setInterval(() => {
    if (above.every(isAlive)) return;
    clearInterval(watch);
    pass("SIGTERM");
  }, LOOK_UP);
  child.status.finally(() => {
    ended = true;
    clearInterval(watch);
  });
}

/** Whether the example answers before `ended` or the limit. */
async function answers(url: string, ended: () => boolean): Promise<boolean> {
  const end = performance.now() + READY_LIMIT;
  while (!ended() && performance.now() < end) {
    try {
      const response = await fetch(url);
      await response.body?.cancel();
      if (response.ok) return true;
    } catch {
      // Not listening yet.
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK));
  }
  return false;
}

function welcome(url: string, words: string): string {
  return `
The example answers: ${url}

Try in another terminal, in ${ROOT}:
  curl ${url}
  ${words} deploy -c ${CONFIG} --release-path ${EXAMPLE}/releases/v2 --release-id v2
  ${words} status -c ${CONFIG}
  ${words} rollback -c ${CONFIG}
Ctrl-C stops everything.
`;
}

async function main(): Promise<number> {
  const address = proxyAddress();
  if (isTaken(address)) {
    console.error(
      `cannot start the example: ${address.hostname}:${address.port} is taken by another program.\n` +
        `If that is the example from before: ./supervisor shutdown -c ${CONFIG}\n` +
        `Otherwise write another port into proxy.address of ${CONFIG}.`,
    );
    return 1;
  }
  const { argv, words } = await program();
  const child = await serve(argv);
  passSignalsOn(child);
  let over = false;
  const status = child.status.finally(() => over = true);
  const url = `http://${address.hostname}:${address.port}/`;
  if (await answers(url, () => over)) console.log(welcome(url, words));
  else if (!over) console.error(`${url} does not answer yet; see above why`);
  return (await status).code;
}

if (import.meta.main) Deno.exit(await main());
