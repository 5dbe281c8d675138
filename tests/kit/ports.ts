/**
 * Free TCP ports for tests that must name one before anything listens on it.
 *
 * Invariant: no two test files that run at the same time get the same port, on one machine, in one
 * process or in several: each takes a block of ports for itself and keeps it locked while it lives.
 * The blocks lie below the range the kernel hands out for port 0 and outgoing connections.
 */

import { join } from "@std/path";

const FIRST_PORT = 20_000;
const BLOCK = 300;
const BLOCKS = 40;

/** Taken when the file is loaded, for the life of its test file, so that no test seems to leak it. */
const block = takeBlock();
let next = 0;

function takeBlock(): { first: number; lock: Deno.FsFile } {
  const dir = join(Deno.env.get("TMPDIR") ?? "/tmp", `supervisor-test-ports-${Deno.uid()}`);
  Deno.mkdirSync(dir, { recursive: true });
  // Not all start at the first: ports used a moment ago rest a little.
  const start = Math.floor(Math.random() * BLOCKS);
  for (let i = 0; i < BLOCKS; i++) {
    const number = (start + i) % BLOCKS;
    const lock = Deno.openSync(join(dir, `${number}`), { create: true, write: true });
    if (lock.tryLockSync(true)) return { first: FIRST_PORT + number * BLOCK, lock };
    lock.close();
  }
  throw new Error(`no free block of test ports: all ${BLOCKS} in ${dir} are locked`);
}

function isFree(port: number): boolean {
  try {
    // The wildcard address: refused if anybody listens on any address of this port.
    Deno.listen({ hostname: "0.0.0.0", port }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return false;
    throw error;
  }
}

/**
 * The first of `count` consecutive ports nobody listens on; not handed out again before the whole
 * block was.
 */
export function freePorts(count: number): number {
  for (let tries = 0; tries < 2 * BLOCK; tries++) {
    if (next + count > BLOCK) next = 0;
    const first = block.first + next;
    const taken = Array.from({ length: count }, (_, i) => i).findLast((i) => !isFree(first + i));
    if (taken === undefined) {
      next += count;
      return first;
    }
    next += taken + 1;
  }
  throw new Error(`no ${count} consecutive free ports from ${block.first} on`);
}

/** A port nobody listens on. */
export function freePort(): number {
  return freePorts(1);
}

/** `count` consecutive free ports as the configuration writes them: `20100-20119`. */
export function freeRange(count: number): string {
  const first = freePorts(count);
  return `${first}-${first + count - 1}`;
}
