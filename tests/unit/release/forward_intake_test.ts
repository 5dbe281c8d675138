/** The public address: bound, moved, held, let go. Real sockets. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Config } from "../../../lib/config/config.ts";
import { Failure } from "../../../lib/core/failure.ts";
import { printed, Upstream, UpstreamSet } from "../../../lib/http/mod.ts";
import { realClock } from "../../../lib/os/clock.ts";
import type { System } from "../../../lib/os/system.ts";
import { ForwardIntake } from "../../../lib/release/forward_intake.ts";
import type { ReleaseContext } from "../../../lib/release/intake.ts";
import type { EventName } from "../../../lib/telemetry/events.ts";
import { until } from "../../kit/wait.ts";
import { configOf, processOf, proxiedOf, proxyOf } from "./configs.ts";

const HOST = "127.0.0.1";

function at(port: number, more: Parameters<typeof proxyOf>[0] = {}): Config {
  return configOf([proxiedOf("web")], {
    proxy: proxyOf({ address: { host: HOST, port }, drain_timeout: 1_000, ...more }),
  });
}

/** An intake, and everything it tells. */
class Place implements AsyncDisposable {
  readonly told: EventName[] = [];
  /** Who is said to listen on every port. */
  listener = 7;
  readonly intake: ForwardIntake;

  constructor(config: Config) {
    const system = {
      clock: realClock,
      listeners: () => [{ address: HOST, pids: [this.listener] }],
      row: (pid: number) => ({ pid, command: "nginx" }),
    } as Pick<System, "clock" | "listeners"> as System;
    this.intake = new ForwardIntake(config, system, (name) => void this.told.push(name));
  }

  get port(): number {
    return this.intake.front!.address.port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.intake[Symbol.asyncDispose]();
    await this.intake.drain(0);
  }
}

async function started(config = at(0)): Promise<Place> {
  const place = new Place(config);
  await place.intake.start();
  return place;
}

/** Status of an answer; undefined: nobody listens. */
async function ask(port: number): Promise<number | undefined> {
  let conn: Deno.TcpConn;
  try {
    conn = await Deno.connect({ hostname: HOST, port });
  } catch {
    return undefined;
  }
  using _ = conn;
  await conn.write(
    new TextEncoder().encode("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"),
  );
  const text = await new Response(conn.readable).text();
  return Number(text.split(" ")[1]);
}

/** A release of which a test decides what is ready. */
function releaseOf(ready: boolean[], hopeful = true) {
  const upstreams = new UpstreamSet("v1");
  const all = ready.map((is, index) => {
    const upstream = new Upstream(`web#${index}`, HOST, 1, { clock: realClock });
    upstream.ready = is;
    upstreams.add(upstream);
    return upstream;
  });
  const release = {
    release_id: "v1",
    release_path: "/srv/v1",
    revision: "v1",
    config: at(0),
    ports: new Map<string, number>(),
    upstreams,
    hopeful,
    onReadiness: undefined as (() => void) | undefined,
  };
  return { release, all };
}

async function live(place: Place, release: ReleaseContext): Promise<void> {
  place.intake.swap(await place.intake.build(release));
}

Deno.test("it listens before anything is live, and answers 503", async () => {
  await using place = await started();
  assertEquals(await ask(place.port), 503);
  assertEquals(place.intake.snapshot(), {
    name: "proxy",
    address: `${HOST}:${place.port}`,
    state: "open",
  });
  assertEquals(place.told, ["listener_bound"]);
});

Deno.test("without a proxied process it does not listen", async () => {
  await using place = await started(configOf([processOf("worker")]));
  assertEquals([place.intake.front, place.intake.snapshot().state], [undefined, "closed"]);
  assertEquals(await place.intake.drain(0), { cut: 0 });
});

Deno.test("an address in use names who has it", () => {
  using other = Deno.listen({ hostname: HOST, port: 0 });
  const { port } = other.addr as Deno.NetAddr;
  const place = new Place(at(port));
  const failure = assertThrows(() => place.intake.start(), Failure);
  assertEquals(
    failure.text,
    `cannot listen on ${HOST}:${port} (proxy.address): ` +
      'the address is in use by "nginx" (pid 7)\n' +
      "stop that program, or choose another proxy.address",
  );
  place.listener = Deno.pid;
  assertThrows(
    () => place.intake.start(),
    Failure,
    "it overlaps the address this daemon listens on",
  );
});

Deno.test("an address of another machine, a name that is none", () => {
  const refused = (host: string) => {
    const config = configOf([proxiedOf("web")], { proxy: proxyOf({ address: { host, port: 0 } }) });
    return assertThrows(() => new Place(config).intake.start(), Failure).message;
  };
  assert(refused("192.0.2.1").endsWith("this machine has no such address"));
  assert(refused("no.such.name.invalid").startsWith("cannot listen on no.such.name.invalid:0"));
});

Deno.test("another address: served at once, taken with commit, the old one let go then", async () => {
  await using place = await started();
  const old = place.port;
  using free = Deno.listen({ hostname: HOST, port: 0 });
  const next = (free.addr as Deno.NetAddr).port;
  free.close();
  const rebinding = place.intake.rebind(at(next))!;
  assertEquals([place.port, await ask(old), await ask(next)], [old, 503, 503]);
  rebinding.commit();
  assertEquals([place.port, await ask(next)], [next, 503]);
  await until("the old listener is closed", () => place.told.includes("listener_closed"));
  assertEquals(await ask(old), undefined);
});

Deno.test("another address that is not taken is let go", async () => {
  await using place = await started();
  const old = place.port;
  const rebinding = place.intake.rebind(at(0, { address: { host: "127.0.0.2", port: 0 } }))!;
  rebinding.undo();
  assertEquals([place.port, await ask(old)], [old, 503]);
});

Deno.test("the same address again is nothing to do; another front there is refused", async () => {
  await using place = await started();
  assertEquals(place.intake.rebind(at(0)), undefined);
  assertThrows(
    () => place.intake.rebind(at(0, { front: "serve" })),
    Failure,
    "proxy.front cannot change while the address stays the same",
  );
});

Deno.test("the last proxied process goes: nothing listens any more; one comes: it does again", async () => {
  await using place = await started();
  const old = place.port;
  const none = configOf([processOf("worker")], { proxy: at(0).proxy });
  place.intake.rebind(none)!.commit();
  place.intake.configure(none);
  assertEquals(place.intake.front, undefined);
  assertEquals(place.intake.drainBudget(), 1_000, "what it left behind is still finished");
  await until("the old listener is closed", () => place.told.includes("listener_closed"));
  assertEquals(await ask(old), undefined);
  place.intake.rebind(at(0))!.commit();
  assertEquals(await ask(place.port), 503);
});

Deno.test("arrivals are held while nothing is ready and something may come back", async () => {
  await using place = await started();
  const { gate } = place.intake;
  const { release, all } = releaseOf([true, true]);
  await live(place, release);
  assertEquals([gate.live, gate.holding], [release.upstreams, false]);
  all[0].ready = false;
  release.onReadiness!();
  assertEquals(gate.holding, false);
  all[1].ready = false;
  release.onReadiness!();
  assertEquals(gate.holding, true);
  all[0].ready = true;
  release.onReadiness!();
  assertEquals(gate.holding, false);
  assertEquals(place.told.slice(1), ["upstreams_down", "upstreams_back"]);
});

Deno.test("no hope, no hold", async () => {
  await using place = await started();
  const { gate } = place.intake;
  const { release } = releaseOf([false]);
  await live(place, release);
  assertEquals(gate.holding, true);
  release.hopeful = false;
  release.onReadiness!();
  assertEquals([gate.holding, await ask(place.port)], [false, 503]);
});

Deno.test("a release with nothing to forward to holds nobody", async () => {
  await using place = await started();
  await live(place, releaseOf([]).release);
  assertEquals(place.intake.gate.holding, false);
});

Deno.test("a hold of 0 holds nobody; a reload may change that", async () => {
  await using place = await started(at(0, { hold: 0 }));
  const { release } = releaseOf([false]);
  await live(place, release);
  assertEquals(place.intake.gate.holding, false);
  place.intake.configure(at(0, { hold: 500 }));
  assertEquals(place.intake.gate.holding, true);
});

Deno.test("the release before is not listened to any more", async () => {
  await using place = await started();
  const { gate } = place.intake;
  const before = releaseOf([true]);
  const after = releaseOf([true]);
  await live(place, before.release);
  await live(place, after.release);
  assertEquals(before.release.onReadiness, undefined);
  after.all[0].ready = false;
  after.release.onReadiness!();
  assertEquals(gate.holding, true);
  place.intake.swap(undefined);
  assertEquals([gate.live, gate.holding, after.release.onReadiness], [undefined, false, undefined]);
});

Deno.test("a drain takes no more connections, and tells so", async () => {
  await using place = await started();
  const { port } = place;
  assertEquals(await place.intake.drain(1_000), { cut: 0 });
  assertEquals(await ask(port), undefined);
  assertEquals(place.told, ["listener_bound", "listener_closed"]);
});

Deno.test("addresses as people write them", () => {
  assertEquals(printed({ hostname: "127.0.0.1", port: 80 }), "127.0.0.1:80");
  assertEquals(printed({ hostname: "::1", port: 80 }), "[::1]:80");
});
