/**
 * `wrk` as load, and what a process has used of the processor.
 *
 * Invariant: figures are those of the tool and of the kernel; nothing is smoothed.
 */

const TICKS_PER_SECOND = 100;

/** One run. */
export interface WrkResult {
  /** Requests per second. */
  rate: number;
  requests: number;
  /** Milliseconds. */
  p50: number;
  p99: number;
  failed: number;
}

/** Asks for `path` over so many connections. @throws Deno.errors.NotFound when it is not installed */
export async function wrk(
  port: number,
  path: string,
  connections: number,
  seconds: number,
): Promise<WrkResult> {
  const url = `http://127.0.0.1:${port}${path}`;
  const { stdout } = await new Deno.Command("wrk", {
    args: ["-t1", `-c${connections}`, `-d${seconds}s`, "--latency", url],
    stderr: "null",
  }).output();
  const text = new TextDecoder().decode(stdout);
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text);
  const bad = /Non-2xx or 3xx responses: (\d+)/.exec(text);
  return {
    rate: Number(/Requests\/sec: +([\d.]+)/.exec(text)?.[1]),
    requests: Number(/(\d+) requests in/.exec(text)?.[1]),
    p50: milliseconds(/50% +(\S+)/.exec(text)?.[1]),
    p99: milliseconds(/99% +(\S+)/.exec(text)?.[1]),
    failed: Number(bad?.[1] ?? 0) + (errors?.slice(1).reduce((sum, n) => sum + Number(n), 0) ?? 0),
  };
}

/** User and system time of a process, seconds. */
export function processorSeconds(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function milliseconds(text: string | undefined): number {
  const match = /^([\d.]+)(us|ms|s|m)$/.exec(text ?? "");
  if (match === null) return NaN;
  return Number(match[1]) * { us: 0.001, ms: 1, s: 1000, m: 60_000 }[match[2]]!;
}
