/** The raw front on TLS: real handshakes, and clients that make none. */

import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { Failure } from "../../../lib/core/failure.ts";
import {
  answer,
  BytesBody,
  type Front,
  type Handler,
  openFront,
  ResponseHead,
} from "../../../lib/http/mod.ts";
import { realClock } from "../../../lib/os/clock.ts";
import { ManualClock } from "../../kit/manual_clock.ts";
import { RawPeer } from "../../kit/raw_http.ts";
import { until } from "../../kit/wait.ts";

const pem = (name: string) =>
  Deno.readTextFileSync(join(import.meta.dirname!, "../../fixtures/tls", `${name}.pem`));
const TLS = { cert: pem("cert"), key: pem("key") };
const OPTIONS = {
  timeouts: { header: 10_000, idle: 75_000, send: 60_000 },
  limits: { header_bytes: 65_536, headers: 200, body: 0 },
};

/** A front on TLS that says what it was asked. */
class TlsFront implements AsyncDisposable {
  readonly front: Front;
  readonly told: string[] = [];

  constructor(readonly clock = realClock as typeof realClock | ManualClock, handler?: Handler) {
    this.front = openFront(
      "raw",
      { hostname: "127.0.0.1", port: 0, tls: TLS },
      handler ?? ((exchange) => answer(exchange, 200, `${exchange.target} tls=${exchange.tls}`)),
      OPTIONS,
      { clock, emit: (event, data) => void this.told.push(`${event} ${JSON.stringify(data)}`) },
    );
  }

  async connect(alpnProtocols = ["h2", "http/1.1"]): Promise<RawPeer> {
    const { port } = this.front.address;
    const caCerts = [pem("ca")];
    const conn = await Deno.connectTls({ hostname: "localhost", port, caCerts, alpnProtocols });
    try {
      assertEquals((await conn.handshake()).alpnProtocol, "http/1.1");
    } catch (error) {
      conn.close();
      throw error;
    }
    return new RawPeer(conn);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.front.cut();
    await this.front.closed;
    assertEquals(this.front.connections, 0);
    assertEquals(this.told.filter((line) => line.startsWith("internal_error")), []);
  }
}

Deno.test("tls: requests on one connection, HTTP/1.1 by ALPN", async () => {
  await using tls = new TlsFront();
  using client = await tls.connect();
  for (const path of ["/one", "/two"]) {
    await client.request(`GET ${path} HTTP/1.1`, "Host: localhost");
    assertStringIncludes((await client.message()).body, `${path} tls=true`);
  }
});

Deno.test("tls: a client that speaks only HTTP/2 is refused in the handshake", async () => {
  await using tls = new TlsFront();
  const error = await tls.connect(["h2"]).then(() => undefined, (error) => error);
  assert(error instanceof Error);
  await until("it is told", () => tls.told.some((line) => line.startsWith("tls_refused")));
  await until("nothing is left", () => tls.front.connections === 0);
});

Deno.test("tls: plain HTTP on the TLS address is closed and told, and costs nobody else", async () => {
  await using tls = new TlsFront();
  using plain = await RawPeer.connect(tls.front.address.port);
  await plain.request("GET / HTTP/1.1", "Host: x");
  await plain.ended();
  await until("nothing is left", () => tls.front.connections === 0);
  assertMatch(tls.told.join(), /tls_refused .*"client":"127\.0\.0\.1"/);
  using client = await tls.connect();
  await client.request("GET /ok HTTP/1.1", "Host: x");
  assertEquals((await client.message()).status, 200);
});

Deno.test("tls: a handshake that stalls holds up nobody, and ends with the header time-out", async () => {
  const clock = new ManualClock();
  await using tls = new TlsFront(clock);
  using silent = await RawPeer.connect(tls.front.address.port);
  using half = await RawPeer.connect(tls.front.address.port);
  await half.send(Uint8Array.of(22, 3, 1, 2, 0));
  await until("both are there", () => tls.front.connections === 2);
  using client = await tls.connect();
  await client.request("GET /ok HTTP/1.1", "Host: x");
  assertEquals((await client.message()).status, 200);
  await clock.advance(OPTIONS.timeouts.header + 2000);
  assertEquals([await silent.rest(), await half.rest()], ["", ""]);
  await until("they are gone, the other is not", () => tls.front.connections === 1);
});

Deno.test("tls: a handshake has its whole time, however long nobody came before", async () => {
  const clock = new ManualClock();
  await using tls = new TlsFront(clock);
  await clock.advance(3_600_000);
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: tls.front.address.port });
  await until("it is taken", () => tls.front.connections === 1);
  await clock.advance(1_000);
  assertEquals(tls.front.connections, 1);
  const secure = await Deno.startTls(conn, { hostname: "localhost", caCerts: [pem("ca")] });
  using client = new RawPeer(secure);
  await client.request("GET /late HTTP/1.1", "Host: x");
  assertEquals((await client.message()).status, 200);
});

Deno.test("tls: a drain does not wait for handshakes", async () => {
  const clock = new ManualClock();
  await using tls = new TlsFront(clock);
  using silent = await RawPeer.connect(tls.front.address.port);
  await until("it is there", () => tls.front.connections === 1);
  const drained = tls.front.drain(60_000);
  await clock.advance(2_000);
  assertEquals(await drained, { cut: 0 });
  assertEquals(await silent.rest(), "");
});

Deno.test("tls: a client that does not read is cut, socket and all", async () => {
  const clock = new ManualClock();
  const bytes = new Uint8Array(30_000_000);
  await using tls = new TlsFront(
    clock,
    (exchange) => exchange.respond(ResponseHead.of(200), new BytesBody(bytes)),
  );
  using client = await tls.connect();
  await client.request("GET / HTTP/1.1", "Host: x");
  await client.until("\r\n\r\n");
  const { port } = client.conn.localAddr as Deno.NetAddr;
  const sockets = () => socketsBetween(tls.front.address.port, port);
  assertEquals(sockets(), 1);
  await clock.advance(OPTIONS.timeouts.send + 3000);
  await until("it is gone", () => tls.front.connections === 0 && sockets() === 0);
});

Deno.test("tls: a large answer arrives whole although the connection is closed after it", async () => {
  const bytes = new Uint8Array(3_000_000).fill(97);
  await using tls = new TlsFront(
    realClock,
    (exchange) => exchange.respond(ResponseHead.of(200), new BytesBody(bytes), true),
  );
  using client = await tls.connect();
  await client.request("GET / HTTP/1.1", "Host: x");
  const message = await client.message();
  assertEquals([message.get("connection"), message.body.length], ["close", bytes.length]);
  assertEquals(await client.ended(), "end");
});

/**
 * Sockets, held by a process, that are bound to the one port and whose other end is the other. A port
 * alone says too little: connections to different servers may have the same port at the client.
 */
function socketsBetween(own: number, other: number): number {
  const suffix = (port: number) => `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return Deno.readTextFileSync("/proc/self/net/tcp").split("\n")
    .map((row) => row.trim().split(/\s+/))
    .filter((row) => row[1]?.endsWith(suffix(own)) && row[2]?.endsWith(suffix(other)))
    .filter((row) => row[9] !== "0").length;
}

Deno.test("tls: certificate and key that do not fit are a clear failure", () => {
  const host = { clock: realClock, emit: () => {} };
  const open = (tls: { cert: string; key: string }) => () =>
    openFront("raw", { hostname: "127.0.0.1", port: 0, tls }, () => {}, OPTIONS, host);
  for (
    const tls of [{ ...TLS, cert: "nothing" }, { ...TLS, key: "nothing" }, {
      cert: pem("ca"),
      key: TLS.key,
    }]
  ) {
    assertThrows(open(tls), Failure, "cannot serve TLS with this certificate and key: ");
  }
  const serve = () => openFront("serve", { path: "/x" }, () => {}, OPTIONS, host);
  assertThrows(serve, Failure, "the serve front speaks plain HTTP on TCP addresses only");
});
