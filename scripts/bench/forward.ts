/**
 * Forwarding side by side: our front and forwarding against nginx, HAProxy, Node's http-proxy and
 * our Deno.serve front, in one run on one machine, with `wrk` as load.
 *
 *   deno run -A scripts/bench/forward.ts [--seconds 3] [--only nginx,supervisor] [--quick]
 *
 * Ratios of one run mean something, single numbers of a shared machine do not. CPU per request is
 * the peer's own (user and system time from /proc), which noise from neighbours touches least.
 *
 * Invariant: nothing is asserted here; what cannot be measured is named.
 */

import { parseArgs } from "@std/cli/parse-args";
import { type Peer, peers, type Running, startUpstream } from "./peers/peers.ts";
import { processorSeconds, wrk } from "./wrk.ts";

const CONNECTIONS = [1, 32, 256];
const BODIES: [name: string, path: string][] = [["100 B", "/"], ["64 KB", "/64k"]];
const FIRST_PORT = 19_100;
const DOWNLOAD_BYTES = 1 << 30;

/** One measurement. */
export interface Result {
  peer: string;
  connections: number;
  body: string;
  /** Requests per second. */
  rate: number;
  /** Milliseconds. */
  p50: number;
  p99: number;
  /** CPU of the peer per request, microseconds. */
  cpu: number;
  failed: number;
}

/** Seconds of a large download through a port; undefined without curl. */
async function download(port: number): Promise<number | undefined> {
  try {
    const { stdout } = await new Deno.Command("curl", {
      args: ["-s", "-o", "/dev/null", "-w", "%{time_total}", `http://127.0.0.1:${port}/1g`],
    }).output();
    return Number(new TextDecoder().decode(stdout));
  } catch {
    return undefined;
  }
}

function table(rows: string[][]): string {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  return rows.map((row) => row.map((cell, i) => cell.padStart(widths[i])).join("  ")).join("\n");
}

/** Runs everything and prints tables. `log` gets one line or block each time. */
export async function benchForward(
  options: { seconds: number; only?: string[]; quick?: boolean },
  log: (text: string) => void,
): Promise<Result[]> {
  const scratch = await Deno.makeTempDir({ prefix: "bench-forward-" });
  const running: { peer: Peer; port: number; process: Running }[] = [];
  const results: Result[] = [];
  await Deno.mkdir(`${scratch}/files`);
  await Deno.writeFile(`${scratch}/files/64k`, crypto.getRandomValues(new Uint8Array(65_536)));
  await Deno.create(`${scratch}/files/1g`).then((file) => {
    file.truncateSync(DOWNLOAD_BYTES);
    file.close();
  });
  await Deno.chmod(scratch, 0o755);
  const upstream = await startUpstream(FIRST_PORT, scratch);
  if (typeof upstream === "string") {
    log(`skipped: forwarding needs nginx as upstream: ${upstream}`);
    return results;
  }
  try {
    for (const [i, peer] of peers.entries()) {
      if (options.only !== undefined && !options.only.includes(peer.name)) continue;
      const port = FIRST_PORT + 1 + i;
      const process = await peer.start(port, FIRST_PORT, scratch);
      if (typeof process === "string") log(`skipped: ${peer.name}: ${process}`);
      else running.push({ peer, port, process });
    }
    // Once round without counting: compilers and pools warm up.
    for (const { port } of running) await wrk(port, "/", 32, 1);
    for (const [body, path] of BODIES) {
      for (const connections of options.quick ? [32] : CONNECTIONS) {
        const rows = [["", "requests/s", "p50 ms", "p99 ms", "CPU µs", "failed", "vs nginx"]];
        const round: Result[] = [];
        for (const { peer, port, process } of running) {
          const before = processorSeconds(process.pid);
          const got = await wrk(port, path, connections, options.seconds);
          const cpu = (processorSeconds(process.pid) - before) / got.requests * 1e6;
          round.push({ peer: peer.name, connections, body, cpu, ...got });
        }
        const base = round.find((one) => one.peer === "nginx")?.rate;
        for (const one of round) {
          rows.push([
            one.peer,
            one.rate.toFixed(0),
            one.p50.toFixed(2),
            one.p99.toFixed(2),
            one.cpu.toFixed(1),
            String(one.failed),
            base === undefined ? "" : (one.rate / base).toFixed(2),
          ]);
        }
        log(`\n${body}, ${connections} connection${connections > 1 ? "s" : ""}\n${table(rows)}`);
        results.push(...round);
      }
    }
    const rows = [["1 GB download", "seconds", "CPU s"]];
    for (const { peer, port, process } of running) {
      const before = processorSeconds(process.pid);
      const seconds = await download(port);
      if (seconds === undefined) {
        log("skipped: 1 GB download: curl is not installed");
        break;
      }
      rows.push([
        peer.name,
        seconds.toFixed(2),
        (processorSeconds(process.pid) - before).toFixed(2),
      ]);
    }
    if (rows.length > 1) log(`\n${table(rows)}`);
    return results;
  } finally {
    for (const { process } of running) await process.stop();
    await upstream.stop();
    await Deno.remove(scratch, { recursive: true });
  }
}

if (import.meta.main) {
  const args = parseArgs(Deno.args, { string: ["seconds", "only"], boolean: ["quick"] });
  await benchForward({
    seconds: Number(args.seconds ?? 3),
    only: (args.only as string | undefined)?.split(","),
    quick: args.quick as boolean,
  }, (text) => console.log(text));
}
