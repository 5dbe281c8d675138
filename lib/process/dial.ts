/**
 * The network side of a probe: connect, and ask over HTTP/1.1.
 *
 * Our own few lines instead of fetch: fetch refuses some ports, follows what it should not, and
 * pools connections; a probe wants one fresh connection, one status line, and the end.
 *
 * Invariant: both end within their time, whatever the other side does; at most HEAD_LIMIT bytes are
 * read of whatever answers.
 */

import type { Clock } from "../core/clock.ts";
import { messageOf } from "../core/failure.ts";

/** More of a head than this is no answer to a probe. */
const HEAD_LIMIT = 16 * 1024;
/** Interim (1xx) answers before the real one. */
const INTERIM_LIMIT = 8;

const STATUS_LINE = /^HTTP\/1\.[01] ([1-5]\d\d)(?: |$)/;

/** What came of an attempt: it is good, or why not. */
export type Answer = { good: true } | { good: false; reason: string };

/** A connection, or why there is none. */
export type Dialled = { conn: Deno.TcpConn } | { reason: string };

/** Connects within `ms` milliseconds. @throws the signal's reason. */
export async function dial(
  clock: Clock,
  address: { host: string; port: number },
  ms: number,
  signal: AbortSignal,
): Promise<Dialled> {
  signal.throwIfAborted();
  const { promise: over, resolve: give } = Promise.withResolvers<void>();
  const timer = clock.timer(ms, give);
  const gone = () => give();
  signal.addEventListener("abort", gone, { once: true });
  // Without connect's own signal: an abort that meets its completion leaves the socket open for ever
  // (seen once in some ten thousand aborts, Deno 2.7 and 2.9).
  const connecting = Deno.connect({ hostname: address.host, port: address.port });
  try {
    const conn = await Promise.race([connecting, over]);
    if (conn !== undefined) return { conn };
    // It may still come off, or fail: nobody wants it any more.
    connecting.then(hangUp, () => {});
    signal.throwIfAborted();
    return { reason: "no connection in time" };
  } catch (error) {
    signal.throwIfAborted();
    return { reason: connectError(error) };
  } finally {
    timer.cancel();
    signal.removeEventListener("abort", gone);
  }
}

/**
 * Sends `GET path` and reads the head of the answer, within `ms` milliseconds. 2xx is good; a
 * redirect is not followed. The caller hangs up. @throws the signal's reason.
 */
export async function ask(
  clock: Clock,
  conn: Deno.TcpConn,
  request: { host: string; port: number; path: string },
  ms: number,
  signal: AbortSignal,
): Promise<Answer> {
  let late = false;
  const timer = clock.timer(ms, () => {
    late = true;
    hangUp(conn);
  });
  // Closing is what ends a read that waits.
  const give = () => hangUp(conn);
  signal.addEventListener("abort", give, { once: true });
  try {
    signal.throwIfAborted();
    await sendAll(conn, requestHead(request));
    return judge(await readHead(conn));
  } catch (error) {
    signal.throwIfAborted();
    if (late) return { good: false, reason: "connected, but no answer in time" };
    return { good: false, reason: `the connection broke: ${messageOf(error)}` };
  } finally {
    timer.cancel();
    signal.removeEventListener("abort", give);
  }
}

/** Closes a connection; closing it again does nothing. */
export function hangUp(conn: Deno.TcpConn): void {
  try {
    conn.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

function requestHead({ host, port, path }: { host: string; port: number; path: string }) {
  const name = host.includes(":") ? `[${host}]` : host;
  return new TextEncoder().encode(
    `GET ${path} HTTP/1.1\r\nHost: ${name}:${port}\r\nUser-Agent: supervisor-probe\r\n` +
      "Accept: */*\r\nConnection: close\r\n\r\n",
  );
}

async function sendAll(conn: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await conn.write(bytes.subarray(sent));
}

/** The first final (not 1xx) head, or what is wrong with it. */
async function readHead(conn: Deno.TcpConn): Promise<{ head: string } | { wrong: string }> {
  const buffer = new Uint8Array(HEAD_LIMIT);
  const decoder = new TextDecoder("latin1");
  let text = "";
  let interim = 0;
  let filled = 0;
  while (filled < HEAD_LIMIT) {
    const read = await conn.read(buffer.subarray(filled));
    if (read === null) {
      return { wrong: filled === 0 ? "closed without an answer" : "closed in mid-answer" };
    }
    text += decoder.decode(buffer.subarray(filled, filled + read), { stream: true });
    filled += read;
    for (let end = text.indexOf("\r\n\r\n"); end >= 0; end = text.indexOf("\r\n\r\n")) {
      const head = text.slice(0, end);
      if (!/^HTTP\/1\.[01] 1/.test(head)) return { head };
      if (++interim > INTERIM_LIMIT) return { wrong: "nothing but interim answers" };
      text = text.slice(end + 4);
    }
  }
  return { wrong: `no end of the head within ${HEAD_LIMIT} bytes` };
}

function judge(read: { head: string } | { wrong: string }): Answer {
  if ("wrong" in read) return { good: false, reason: read.wrong };
  const line = read.head.slice(0, 80).split("\r\n", 1)[0];
  const status = Number(STATUS_LINE.exec(line)?.[1]);
  if (Number.isNaN(status)) {
    return { good: false, reason: `answered ${JSON.stringify(line)}, which is not HTTP/1.1` };
  }
  if (status >= 200 && status < 300) return { good: true };
  const target = /\r\nlocation:[ \t]*([^\r\n]*)/i.exec(read.head)?.[1];
  if (status >= 300 && status < 400 && target !== undefined) {
    const place = JSON.stringify(target.slice(0, 200));
    return { good: false, reason: `answered ${status} to ${place}; redirects are not followed` };
  }
  return { good: false, reason: `answered ${status}` };
}

function connectError(error: unknown): string {
  if (error instanceof Deno.errors.ConnectionRefused) return "nobody listens";
  return `cannot connect: ${messageOf(error)}`;
}
