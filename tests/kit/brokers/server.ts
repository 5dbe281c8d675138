/**
 * A real broker of one test's own: started on a free port with its data in a scratch directory, so
 * that it can be stopped, killed and started again with what it stored.
 *
 * Invariant: gone, with its whole group, when its scope ends; ready when start() resolves.
 */

import { freePort } from "../ports.ts";
import { Scratch } from "../scratch.ts";
import { LIMIT, soon, until } from "../wait.ts";

/** How one kind of broker is run. */
export interface BrokerRecipe {
  /** The program, for messages. */
  readonly name: string;
  /** Debian's package of it. */
  readonly package: string;
  argv(port: number, dir: string): string[];
  env?(port: number, dir: string): Record<string, string>;
  /** Whether it answers; errors mean "not yet". Default: its port accepts connections. */
  answers?(port: number, dir: string): Promise<boolean>;
  /** Longest start, milliseconds. */
  readonly limit?: number;
}

/** See the file's comment. */
export class BrokerServer implements AsyncDisposable {
  readonly port = freePort();
  readonly #scratch = new Scratch();
  readonly #recipe: BrokerRecipe;
  #child: Deno.ChildProcess | undefined;

  constructor(recipe: BrokerRecipe) {
    this.#recipe = recipe;
  }

  /** A running one. */
  static async start(recipe: BrokerRecipe): Promise<BrokerServer> {
    const server = new BrokerServer(recipe);
    await server.start();
    return server;
  }

  /** Where its data and its output (`out`) lie. */
  get dir(): string {
    return this.#scratch.dir;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Starts it (again); resolves when it answers. @throws Error with its output */
  async start(): Promise<void> {
    const { argv, env, answers = accepts, limit = LIMIT, name } = this.#recipe;
    this.#child = this.#spawn(argv(this.port, this.dir), env?.(this.port, this.dir) ?? {});
    let ended = false;
    this.#child.status.then(() => ended = true);
    try {
      await until(`${name} answers on ${this.address}`, () => {
        if (ended) throw new Error(`it ended: ${this.#scratch.read("out")?.slice(-500)}`);
        return answers(this.port, this.dir);
      }, limit);
    } catch (error) {
      await this.kill();
      throw error;
    }
  }

  /** Ends it as an operator would. */
  stop(): Promise<void> {
    return this.#end("SIGTERM");
  }

  /** As a power cut would, to the program. */
  kill(): Promise<void> {
    return this.#end("SIGKILL");
  }

  /** It does not answer any more, and its connections stay. */
  freeze(): void {
    const { pid } = this.#child!;
    Deno.kill(-pid, "SIGSTOP");
    const end = performance.now() + LIMIT;
    // It is carried out thread by thread, and one that is late may still answer.
    while (!hasStopped(pid)) {
      if (performance.now() > end) throw new Error(`${this.#recipe.name} does not stand still`);
    }
  }

  thaw(): void {
    Deno.kill(-this.#child!.pid, "SIGCONT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    this.#scratch[Symbol.dispose]();
  }

  #spawn(argv: string[], env: Record<string, string>): Deno.ChildProcess {
    const script =
      'command -v "$1" >/dev/null || { echo "$1 is not installed"; exit 127; }; exec "$@"';
    try {
      return new Deno.Command("/bin/sh", {
        args: ["-c", `exec >>"$OUT" 2>&1; ${script}`, "sh", ...argv],
        cwd: this.dir,
        env: { ...env, OUT: this.#scratch.path("out") },
        stdin: "null",
        stdout: "null",
        stderr: "null",
        detached: true,
      }).spawn();
    } catch (error) {
      const { name, package: debian } = this.#recipe;
      throw new Error(`${name} does not start: apt-get install ${debian}`, { cause: error });
    }
  }

  async #end(signal: Deno.Signal): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    for (const each of signal === "SIGKILL" ? [signal] : [signal, "SIGCONT" as const]) {
      try {
        Deno.kill(-child.pid, each);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    await soon(`the end of ${this.#recipe.name}`, child.status);
  }
}

async function accepts(port: number): Promise<boolean> {
  using _ = await Deno.connect({ hostname: "127.0.0.1", port });
  return true;
}

/** Whether none of its threads runs. */
function hasStopped(pid: number): boolean {
  return [...Deno.readDirSync(`/proc/${pid}/task`)].every(({ name }) => {
    const stat = Deno.readTextFileSync(`/proc/${pid}/task/${name}/stat`);
    return stat.slice(stat.lastIndexOf(")") + 2).startsWith("T");
  });
}
