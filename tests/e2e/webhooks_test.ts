/** Webhooks of the real daemon: told of a deploy, taken up and dropped by a reload, never in the way. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { daemonTest } from "../kit/daemon.ts";
import { program } from "../kit/programs.ts";
import { until } from "../kit/wait.ts";

/** Somebody who is told: what came, in order. */
function receiver() {
  const types: string[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    types.push((await request.json()).type);
    return new Response(null, { status: 204 });
  });
  return {
    types,
    url: `http://127.0.0.1:${server.addr.port}/hook`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

const processes = { worker: { command: program("worker.sh") } };

daemonTest(
  "events go out as they happen, to the end of the daemon; a reload takes a hook up",
  { config: { processes } },
  async (d) => {
    await using told = receiver();
    await d.deploy("v1");
    const webhooks = [{ url: told.url, events: ["deploy_finished", "daemon_*", "config_*"] }];
    d.configure({ processes, webhooks });
    assertEquals((await d.ok("plan", "--json")).json().changes, [
      { field: "webhooks", effect: "live" },
    ]);
    await d.ok("reload");
    await d.deploy("v2");
    await until("the deploy to be told", () => told.types.includes("supervisor.deploy_finished"));
    d.kill("SIGTERM");
    await d.ended();
    assertEquals(told.types, [
      "supervisor.config_reloaded",
      "supervisor.deploy_finished",
      "supervisor.daemon_stopping",
      "supervisor.daemon_stopped",
    ]);
  },
);

daemonTest(
  "a hook that nobody answers is told once and holds up nothing",
  { config: { processes, webhooks: [{ url: "http://127.0.0.1:1/s3cret", events: ["*"] }] } },
  async (d) => {
    await d.deploy("v1");
    const failed = await d.event("webhook_failed");
    assertEquals(failed.data.webhook, "http://127.0.0.1:1");
    const { counters } = await d.status();
    assert(counters.webhooks_delivered === 0 && counters.webhooks_retried >= 0);
    const events = await d.events();
    assertEquals(events.filter(({ event }) => event === "webhook_failed").length, 1);
    assert(!JSON.stringify(events).includes("s3cret"));
  },
);

daemonTest(
  "what is wrong with a hook is said",
  { config: { processes }, start: false },
  async (d) => {
    d.configure({
      processes,
      webhooks: [
        { url: "ftp://example.org", events: [] },
        { url: "https://me:s3cret@example.org/", events: ["Deploy"] },
        { events: ["*"] },
      ],
    });
    const { code, stderr, stdout } = await d.cli("validate");
    const said = stdout + stderr;
    assertEquals(code, 3, said);
    for (const words of ["must begin with https://", "must not hold a name or password", "url"]) {
      assertStringIncludes(said, words);
    }
    assertStringIncludes(said, "the name of an event, or the beginning of one");
  },
);
