/** The TLS address of the `http` section: clients of both addresses, and over deploys. */

import { assertEquals, assertMatch } from "@std/assert";
import { ask, echoOf, httpTest, type SiteOptions } from "../kit/http_workers.ts";
import { freePort } from "../kit/ports.ts";
import { fixture } from "../kit/programs.ts";
import { RawPeer } from "../kit/raw_http.ts";

const CA = Deno.readTextFileSync(fixture("tls/ca.pem"));
const tlsPort = freePort();

function options(ssl = {}): SiteOptions {
  return {
    http: {
      ssl: {
        address: `127.0.0.1:${tlsPort}`,
        cert: fixture("tls/cert.pem"),
        key: fixture("tls/key.pem"),
        ...ssl,
      },
    },
  };
}

async function connectTls(): Promise<RawPeer> {
  const conn = await Deno.connectTls({
    hostname: "localhost",
    port: tlsPort,
    caCerts: [CA],
  });
  return new RawPeer(conn);
}

httpTest("both addresses; the worker sees which", options(), async (site) => {
  using secure = await connectTls();
  for (let i = 0; i < 3; i++) {
    const { context } = echoOf(await ask(secure, "GET /echo?x=1"));
    assertEquals(context.uri, "https://shop.example/echo?x=1");
  }
  const { context } = echoOf(await site.ask("GET /echo"));
  assertEquals(context.uri, "http://shop.example/echo");
  const large = "x".repeat(500_000);
  assertEquals(atob(echoOf(await ask(secure, "POST /echo", [], large)).body).length, large.length);
});

httpTest("a client that speaks plain to it, or nonsense, hurts nobody", options(), async () => {
  for (const words of ["GET / HTTP/1.1\r\nHost: h\r\n\r\n", "\x16\x03\x01\xff\xffnonsense", ""]) {
    using plain = await RawPeer.connect(tlsPort);
    await plain.send(words);
    await plain.conn.closeWrite().catch(() => {});
    assertEquals((await plain.rest()).includes("200"), false);
  }
  using secure = await connectTls();
  assertEquals((await ask(secure, "GET /")).body, "ok");
});

httpTest(
  "redirect: plain requests are sent to the TLS address",
  options({ redirect: true }),
  async (site) => {
    const sent = await site.ask("GET /a?b=c", ["Host: localhost:1"]);
    const location = `https://localhost:${tlsPort}/a?b=c`;
    assertEquals([sent.status, sent.get("location")], [308, location]);
    const posted = await site.ask("POST /a", ["Host: localhost"], "body");
    assertEquals(posted.status, 308);
    assertEquals((await site.ask("GET http://shop.example/x", ["Host: shop.example"])).status, 308);
    using secure = await connectTls();
    const answer = await ask(secure, "GET /");
    assertEquals(answer.body, "ok");
    assertMatch(answer.get("strict-transport-security") ?? "", /max-age=/);
    const curl = await site.daemon.run([
      ...["curl", "-sL", "--cacert", fixture("tls/ca.pem"), `http://localhost:${site.port}/`],
      ...["--resolve", `localhost:${site.port}:127.0.0.1`],
    ]);
    assertEquals([curl.code, curl.stdout], [0, "ok"]);
  },
);

httpTest("a connection that is kept over two deploys: every request is answered", {
  ...options(),
  server: { command: ["php", fixture("php/http_worker.php"), "same", "{{release_path}}"] },
}, async (site) => {
  const { daemon } = site;
  await daemon.deploy("v1");
  using secure = await connectTls();
  using plain = await site.connect();
  const pids = async () => [
    (await ask(secure, "GET /pid")).body,
    (await ask(plain, "GET /pid")).body,
  ];
  const seen = new Set<string>();
  for (const release of ["v2", "v3"]) {
    for (const pid of await pids()) seen.add(pid);
    await daemon.deploy(release);
  }
  const last = await pids();
  assertEquals(last[0], last[1]);
  assertEquals(seen.size, 2);
  assertEquals(seen.has(last[0]), false);
});
