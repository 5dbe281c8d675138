/**
 * Our front and forwarding from source, as a peer of the forwarding benchmark:
 * `ours.ts LISTEN_PORT UPSTREAM_PORT [raw|serve]`. Prints one line when it is ready.
 */
import { Gate } from "../../../lib/core/gate.ts";
import {
  forward,
  type ForwardSettings,
  type FrontKind,
  Networks,
  openFront,
  Upstream,
  UpstreamSet,
} from "../../../lib/http/mod.ts";
import { realClock } from "../../../lib/os/clock.ts";

const [listen, upstreamPort, kind = "raw"] = Deno.args;

const clock = realClock;
const emit = (event: string, data: unknown) => console.error(event, JSON.stringify(data));

const settings: ForwardSettings = {
  trusted_proxies: Networks.none,
  timeouts: { connect: 5000, response: 60_000, send: 60_000 },
  hold: 2000,
  public_port: Number(listen),
  limits: { header_bytes: 65_536, headers: 200 },
};
const gate = new Gate<UpstreamSet>(clock);
const set = new UpstreamSet("bench");
set.add(new Upstream("web", "127.0.0.1", Number(upstreamPort), { clock }));
gate.swap(set);

const front = openFront(
  kind as FrontKind,
  { hostname: "127.0.0.1", port: Number(listen) },
  forward(gate, () => settings, { clock, emit }),
  {
    timeouts: { header: 10_000, idle: 75_000, send: 60_000 },
    limits: { header_bytes: 65_536, headers: 200, body: 0 },
  },
  { clock, emit },
);
console.log(`ready ${front.address.port}`);
if (Deno.env.get("BENCH_SECONDS")) {
  // A bounded run, so that a profiler can write its file.
  setTimeout(() => Deno.exit(0), Number(Deno.env.get("BENCH_SECONDS")) * 1000);
}
