/**
 * The status and metrics addresses of a running daemon, the log section and services: what machines
 * see through start, reload and drain.
 */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { daemonTest } from "../kit/daemon.ts";
import { Fifo } from "../kit/gate.ts";
import { freePort } from "../kit/ports.ts";
import { fixture } from "../kit/programs.ts";
import { RawPeer } from "../kit/raw_http.ts";
import { until } from "../kit/wait.ts";

const http = freePort();
const status = freePort();
const moved = freePort();
const metrics = freePort();

/** The configuration of a .rr.yaml with one PHP worker. */
const sections = (statusPort: number) => ({
  server: { command: ["php", fixture("php/http_worker.php")] },
  http: { address: `127.0.0.1:${http}`, pool: { num_workers: 1 } },
  status: { address: `127.0.0.1:${statusPort}` },
  metrics: {
    address: `127.0.0.1:${metrics}`,
    collect: { orders: { type: "counter", namespace: "shop" } },
  },
  logs: { mode: "production", level: "info" },
  service: { beat: { command: "sleep 1000", env: [{ a: "b" }] } },
});

async function get(port: number, path: string): Promise<{ code: number; text: string }> {
  // A connection that stayed would be waited for when the address closes.
  const init = { headers: { connection: "close" } };
  const response = await fetch(`http://127.0.0.1:${port}${path}`, init);
  return { code: response.status, text: (await response.text()).trim() };
}

daemonTest("status and metrics tell how it is, after a reload at the new address", {
  config: sections(status),
}, async (d) => {
  assertEquals(await get(status, "/ready?plugin=http"), {
    code: 200,
    text: '[{"plugin_name":"http","error_message":"","status_code":200}]',
  });
  assertEquals(await get(status, "/readyz"), { code: 200, text: '{"status":"ok"}' });
  assertEquals((await get(http, "/pid")).code, 200);
  const { text } = await get(metrics, "/metrics");
  for (
    const line of [
      "rr_http_total_workers 1",
      "rr_http_workers_ready 1",
      "shop_orders 0",
      'supervisor_release{release="initial",state="active"} 1',
      'supervisor_process_up{process="beat"} 1',
      'supervisor_requests_total{intake="http"} 1',
      'supervisor_events_total{event="daemon_ready"} 1',
    ]
  ) assert(text.split("\n").includes(line), line);
  const [beat] = (await d.status()).releases[0].processes;
  assertEquals([beat.process_id, beat.command, beat.state], ["beat", "sleep 1000", "running"]);

  d.configure({ ...sections(moved), logs: { mode: "production", level: "error" } });
  await d.ok("reload");
  assertEquals((await get(moved, "/livez")).text, '{"status":"ok"}');
  await d.event("listener_closed", ({ data }) => data.name === "status");
  await assertRejects(() => RawPeer.connect(status), Deno.errors.ConnectionRefused);
  assert(!d.output().includes('"event":"config_reloaded"'), "the log follows its section");
});

daemonTest("while a request is finished, the addresses say draining, to the end", {
  config: sections(status),
}, async (d) => {
  await using gate = new Fifo(d.path("gate"));
  await using told = new Fifo(d.path("told"));
  const query = `gate=${encodeURIComponent(gate.path)}&told=${encodeURIComponent(told.path)}`;
  const slow = get(http, `/wait?${query}`);
  await told.line();
  assertEquals(
    (await get(status, "/ready?plugin=http")).code,
    503,
    "the only worker has a request",
  );
  d.kill("SIGTERM");
  await until("draining", async () => (await get(status, "/livez")).text.includes("draining"));
  assertEquals((await get(status, "/health")).code, 200);
  assertEquals(await get(status, "/readyz"), { code: 503, text: '{"status":"draining"}' });
  assertStringIncludes(
    (await get(metrics, "/metrics")).text,
    'supervisor_state{state="stopping"} 1',
  );
  gate.release();
  assertEquals(await slow, { code: 200, text: "waited" });
  assertEquals((await d.ended()).code, 0);
});
