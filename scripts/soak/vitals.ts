/**
 * What a daemon uses, read from the process table while it works.
 *
 * Invariant: looks at the kernel's books only, never at what the daemon says of itself.
 */

const PAGE = 4096;
const LISTEN = "0A";

/** Resident memory, bytes. */
export function residentBytes(pid: number): number {
  return Number(Deno.readTextFileSync(`/proc/${pid}/statm`).split(" ")[1]) * PAGE;
}

/** Open descriptors. */
export function descriptors(pid: number): number {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
}

/** Ports from `from` to `to` on which anybody listens. */
export function listening(from: number, to: number): number[] {
  const ports = new Set<number>();
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    for (const line of Deno.readTextFileSync(table).trim().split("\n").slice(1)) {
      const [, local, , state] = line.trim().split(/\s+/);
      const port = parseInt(local.slice(local.lastIndexOf(":") + 1), 16);
      if (state === LISTEN && port >= from && port <= to) ports.add(port);
    }
  }
  return [...ports].sort((a, b) => a - b);
}

/** Samples resident memory until stopped. */
export class MemoryRecord {
  readonly #samples: number[] = [];
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(pid: number, every: number) {
    this.#timer = setInterval(() => this.#samples.push(residentBytes(pid)), every);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Median of each quarter of the time, bytes; the first holds the warming up. */
  quarters(): number[] {
    const size = this.#samples.length / 4;
    return [0, 1, 2, 3].map((i) =>
      median(this.#samples.slice(Math.floor(i * size), Math.floor((i + 1) * size)))
    );
  }
}

function median(numbers: number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0;
}
