/**
 * Whatever clients send: a worker that is strict (PHP throws at a broken context) is never lost by it,
 * and what it gets is UTF-8 that PHP's own functions read.
 */

import { assert, assertEquals } from "@std/assert";
import { echoOf, httpTest } from "../kit/http_workers.ts";
import { forSeeds, Random } from "../kit/random.ts";

const REQUESTS = 300;

/** Pieces that parsers stumble over; each character is a byte. */
const PIECES = [
  ..."[]{}()<>@,;:\\\"/?=&#+ .~!$'*|^`-_%aA09",
  ...["%2f", "%00", "%zz", "%C3%28", "%u0041", "..", "//", "[]", "a[b]", "a=1", "sid=x;"],
  ...["\xff", "\xc3", "\xc3\xbc", "\xed\xa0\x80", "\xf0\x9f\x98\x80", "\t", "\x80", "\xef\xbb\xbf"],
];
const HOSTS = [
  ...["h", "h:80", "h:", "h:0", "h:65535", "h:65536", "[::1]", "[::1]:8080", "a_b", "a..b"],
  ...["%41", "h:080", "1", "1.2.3.4", "-", "xn--bcher-kva.example", "h.", "a+b", "a%zz", "!$&'()*"],
];
const TYPES = [
  "application/x-www-form-urlencoded",
  "multipart/form-data; boundary=a",
  "multipart/form-data",
  "application/json",
  "application/x-www-form-urlencoded; charset=\xff",
];

function text(random: Random, most: number): string {
  return Array.from({ length: random.int(0, most) }, () => random.pick(PIECES)).join("");
}

/** A request target's query: no byte that ends it. */
function query(random: Random): string {
  return text(random, 8).replace(/[ \t]/g, "");
}

function request(random: Random): string {
  const body = random.chance(0.5) ? text(random, 20) : "";
  const lines = [
    `${random.pick(["GET", "POST", "PUT", "DELETE", "X-Y"])} /echo?${query(random)} HTTP/1.1`,
    `Host: ${random.pick(HOSTS)}`,
    "Connection: close",
    `X-A: ${text(random, 8)}`,
    `x_${random.text(3)}: ${text(random, 3)}`,
    `Cookie: ${text(random, 10)}`,
    `X-Forwarded-For: ${text(random, 4)}`,
    `Content-Length: ${body.length}`,
  ];
  if (random.chance(0.7)) lines.push(`Content-Type: ${random.pick(TYPES)}`);
  return `${lines.join("\r\n")}\r\n\r\n${body}`;
}

for (const encoding of ["json", "protobuf"] as const) {
  httpTest(`${encoding}: ${REQUESTS} odd requests, one worker`, {
    http: {
      encoding,
      access_logs: true,
      middleware: ["proxy_ip_parser"],
      trusted_subnets: ["127.0.0.0/8"],
    },
  }, async (site) => {
    const pid = Number((await site.ask("GET /pid")).body);
    let answered = 0;
    await forSeeds(REQUESTS, async (random) => {
      const sent = request(random);
      using client = await site.connect();
      await client.send(sent);
      const answer = await client.message();
      if (answer.status === 400) return;
      assertEquals(answer.status, 200, JSON.stringify(sent));
      assertEquals(echoOf(answer).pid, pid);
      answered++;
    });
    assert(answered > REQUESTS / 3, `${answered} reached the worker`);
    assertEquals(await site.told("worker_failed"), []);
    assertEquals(await site.told("internal_error"), []);
  });
}
