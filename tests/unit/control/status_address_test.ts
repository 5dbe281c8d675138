/** The status address, over real sockets: what it answers, and its life. */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import type { Config } from "../../../lib/config/config.ts";
import type { Health } from "../../../lib/control/rpc/host.ts";
import type { SideAddress } from "../../../lib/control/side_address.ts";
import { statusAddress, type StatusHost } from "../../../lib/control/status_address.ts";
import { Failure } from "../../../lib/core/failure.ts";
import { RawPeer } from "../../kit/raw_http.ts";
import { configOf, outside } from "./side_kit.ts";

/** A status address on a free port, and the daemon behind it. */
class Scene {
  state: StatusHost["state"] = "running";
  readonly answers: Record<string, Record<"alive" | "ready", Health>> = {};
  readonly outside = outside();
  jobs: unknown[] = [];

  private constructor(public config: Config) {}

  static async open(more = ""): Promise<Scene & Disposable> {
    const scene = new Scene(await configOf(`status: { address: 127.0.0.1:0${more} }`));
    scene.address.start(scene.config);
    return Object.assign(scene, { [Symbol.dispose]: () => scene.address.cut() });
  }

  readonly host: StatusHost = ((scene) => ({
    get state() {
      return scene.state;
    },
    plugins: () => Object.keys(scene.answers),
    jobs: () => Promise.resolve(scene.jobs),
    health: (plugin, question) => scene.answers[plugin]?.[question],
  }))(this as Scene);

  readonly address: SideAddress = statusAddress(this.host, () => this.config, this.outside);

  set(plugin: string, alive: string, ready: string): void {
    const health = (message: string): Health => ({ code: message === "" ? 200 : 503, message });
    this.answers[plugin] = { alive: health(alive), ready: health(ready) };
  }

  async get(path: string): Promise<[number, unknown]> {
    // A connection that stayed would be waited for when the address closes.
    const headers = { connection: "close" };
    const response = await fetch(`http://${this.address.printed}${path}`, { headers });
    return [response.status, await response.json()];
  }
}

const ok = (plugin_name: string) => ({ plugin_name, error_message: "", status_code: 200 });
const bad = (plugin_name: string, error_message: string, status_code = 503) => ({
  plugin_name,
  error_message,
  status_code,
});

Deno.test("/health and /ready: a list as RoadRunner's, with the worst code of it", async () => {
  using scene = await Scene.open();
  scene.set("http", "", "all workers are busy");
  scene.set("jobs", "", "");
  assertEquals(await scene.get("/health"), [200, [ok("http"), ok("jobs")]]);
  assertEquals(await scene.get("/ready"), [503, [bad("http", "all workers are busy"), ok("jobs")]]);
});

Deno.test("?plugin= once, repeated and with commas; an unknown one is told", async () => {
  using scene = await Scene.open();
  for (const name of ["http", "jobs", "tcp"]) scene.set(name, "", "");
  assertEquals(await scene.get("/health?plugin=http"), [200, [ok("http")]]);
  assertEquals(await scene.get("/ready?plugin=jobs&plugin=http"), [200, [ok("jobs"), ok("http")]]);
  assertEquals(await scene.get("/ready?plugin=jobs,tcp,jobs"), [200, [ok("jobs"), ok("tcp")]]);
  assertEquals(await scene.get("/health?plugin=http,grpc"), [
    404,
    [ok("http"), bad("grpc", "there is no such plugin", 404)],
  ]);
});

Deno.test("while the daemon drains, everything says so; health stays 200", async () => {
  using scene = await Scene.open();
  scene.set("http", "no worker is alive", "no worker is alive");
  scene.state = "stopping";
  const draining = "draining: the daemon is shutting down";
  assertEquals(await scene.get("/health"), [200, [bad("http", draining, 200)]]);
  assertEquals(await scene.get("/ready"), [503, [bad("http", draining)]]);
  assertEquals(await scene.get("/livez"), [200, { status: "draining" }]);
  assertEquals(await scene.get("/readyz"), [503, { status: "draining" }]);
  assertEquals(await scene.get("/jobs"), [503, []]);
});

Deno.test("/jobs: the pipelines, as the daemon has them", async () => {
  using scene = await Scene.open();
  assertEquals(await scene.get("/jobs"), [200, []]);
  scene.jobs = [{ pipeline: "mail", driver: "memory" }];
  assertEquals(await scene.get("/jobs"), [200, scene.jobs]);
});

Deno.test("/livez and /readyz: the process, and whether all of it takes requests", async () => {
  using scene = await Scene.open();
  assertEquals(await scene.get("/readyz"), [200, { status: "ok" }]);
  scene.set("http", "", "all workers are busy");
  assertEquals(await scene.get("/livez"), [200, { status: "ok" }]);
  assertEquals(await scene.get("/readyz"), [
    503,
    { status: "unavailable", reasons: ["http: all workers are busy"] },
  ]);
  scene.state = "starting";
  assertEquals(await scene.get("/readyz"), [503, { status: "starting" }]);
  assertEquals((await scene.get("/ready"))[1], [bad("http", "the daemon is starting")]);
  assertEquals(await scene.get("/jobs"), [200, []]);
});

Deno.test("the code that means no is the configured one, also after a reload", async () => {
  using scene = await Scene.open(", unavailable_status_code: 500");
  scene.state = "stopping";
  assertEquals((await scene.get("/readyz"))[0], 500);
  scene.config = await configOf("status: { address: 127.0.0.1:0, unavailable_status_code: 429 }");
  assertEquals((await scene.get("/readyz"))[0], 429);
});

Deno.test("only GET and HEAD, only these paths; junk costs one answer", async () => {
  using scene = await Scene.open();
  const url = `http://${scene.address.printed}`;
  const ask = async (path: string, method: string) => {
    const response = await fetch(`${url}${path}`, { method });
    return [response.status, response.headers.get("allow"), await response.text()];
  };
  assertEquals(await ask("/livez", "POST"), [405, "GET, HEAD", "use GET\n"]);
  assertEquals(await ask("/nothing", "GET"), [
    404,
    null,
    "there are: /health, /ready, /jobs, /livez, /readyz\n",
  ]);
  const port = Number(scene.address.printed.split(":")[1]);
  for (const line of ["TRACE /livez HTTP/1.1", "GET http://[/ HTTP/1.1", "GET //[ HTTP/1.1"]) {
    using peer = await RawPeer.connect(port);
    await peer.request(line, "Host: x");
    const status = Number((await peer.until("\r\n")).split(" ")[1]);
    assert(status >= 400 && status < 500, `${line}: ${status}`);
  }
  assertEquals(scene.outside.events.filter((event) => event === "internal_error"), []);
  using peer = await RawPeer.connect(port);
  await peer.request("HEAD /livez HTTP/1.1", "Host: x", "Connection: close");
  const head = await peer.until("\r\n\r\n");
  assertStringIncludes(head.toLowerCase(), "content-length: 16");
});

Deno.test("a handler that throws is an event and a 500 without details", async () => {
  using scene = await Scene.open();
  Object.defineProperty(scene.answers, "http", {
    enumerable: true,
    get: () => {
      throw new Error("secret");
    },
  });
  const response = await fetch(`http://${scene.address.printed}/health`);
  assertEquals([response.status, await response.text()], [500, "internal error\n"]);
  assert(scene.outside.events.includes("internal_error"));
});

Deno.test("another address is bound before the old one closes; none closes it", async () => {
  using scene = await Scene.open();
  const first = scene.address.printed;
  assertEquals(scene.address.rebind(scene.config), undefined, "nothing changed");
  const next = await configOf("status: { address: '[::1]:0' }");
  const undone = scene.address.rebind(next)!;
  undone.undo();
  assertEquals((await scene.get("/livez"))[0], 200);
  const rebinding = scene.address.rebind(next)!;
  assertEquals(scene.address.printed, first, "not in use before commit");
  rebinding.commit();
  assertStringIncludes(scene.address.printed, "[::1]:");
  assertEquals((await scene.get("/livez"))[0], 200);
  scene.address.rebind(await configOf(""))!.commit();
  assertEquals(scene.address.printed, "");
  assertEquals(scene.address.rebind(await configOf("")), undefined);
  await scene.address.drain();
});

Deno.test("an address that is taken names it, the key, and what to do", async () => {
  using other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const config = await configOf(`status: { address: "127.0.0.1:${other.addr.port}" }`);
  const address = statusAddress(
    {
      state: "running",
      plugins: () => [],
      health: () => undefined,
      jobs: () => Promise.resolve([]),
    },
    () => config,
    outside(),
  );
  const failure = assertThrows(() => address.start(config), Failure);
  assertStringIncludes(failure.message, `127.0.0.1:${other.addr.port} (status.address)`);
  assertStringIncludes(failure.fix!, "status.address");
});
