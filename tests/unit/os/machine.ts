/** What the tests of the operating system's floor share: one real system and programs to run on it. */

import { realSystem } from "../../../lib/os/real.ts";
import type { Child, Machine, PidIdentity, SpawnSpec } from "../../../lib/os/system.ts";
import { failureJson } from "../../../lib/core/failure.ts";

/** PATH of the programs under test. */
export const PATH = "/usr/bin:/bin";

/** A real system whose programs do not outlive the test. */
export class TestMachine implements AsyncDisposable {
  readonly system: Machine;
  readonly #children: Child[] = [];

  constructor(adoptOrphans = false) {
    this.system = realSystem({ adoptOrphans });
  }

  /** Starts a program that is killed with its group when the scope ends. */
  spawn(argv: string[], more: Partial<SpawnSpec> = {}): Child {
    const child = this.system.spawn({ argv, cwd: "/", env: { PATH, STARTED_BY: "test" }, ...more });
    this.#children.push(child);
    return child;
  }

  /** Starts a shell script. */
  shell(script: string, more: Partial<SpawnSpec> = {}): Child {
    return this.spawn(["/bin/sh", "-c", script], more);
  }

  /** What identifies a child for ever. */
  id(child: Child): PidIdentity {
    return { pid: child.pid, start: child.start, boot_id: this.system.bootId };
  }

  /** Pids of the group's members. */
  members(child: Child): number[] {
    return this.system.group(child.pid).members.map((row) => row.pid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) this.system.signalGroup(this.id(child), "SIGKILL");
    await Promise.all(this.#children.map((child) => this.system.groupGone(child.pid)));
    await Promise.all(this.#children.map((child) => child.exited));
    this.system[Symbol.dispose]();
  }
}

/** The sentence (and fix) of what `run` throws. */
export function sentenceOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return sentence(error);
  }
  throw new Error("nothing was thrown");
}

/** The sentence (and fix) that `work` rejects with. */
export function sentenceOfAsync(work: Promise<unknown>): Promise<string> {
  return work.then(() => {
    throw new Error("nothing was thrown");
  }, sentence);
}

function sentence(thrown: unknown): string {
  const { error, fix } = failureJson(thrown);
  return fix === undefined ? error : `${error} | ${fix}`;
}

/** True when the tests run as root. */
export const isRoot = Deno.uid() === 0;
