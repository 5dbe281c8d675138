/** One suite for both kinds of probe, then what only HTTP knows. Real sockets on port 0. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { Clock } from "../../../lib/core/clock.ts";
import { realClock } from "../../../lib/os/clock.ts";
import { type ActiveProbe, prove } from "../../../lib/process/probe.ts";
import { FakeSystem } from "../../kit/fake_system.ts";
import { manualWorld, specOf, World } from "./world.ts";

const SPEC = { argv: ["program"], cwd: "/", env: {} };

/** A program on a fake system, whose port a listener of the test answers. */
function world(kind: "http" | "tcp", change: Partial<ActiveProbe> = {}, clock: Clock = realClock) {
  const system = new FakeSystem(clock);
  const program = system.spawn(SPEC);
  const died = new AbortController();
  const probe = (port: number): ActiveProbe => ({
    kind,
    host: "127.0.0.1",
    port,
    path: "/ping",
    timeout: 5_000,
    interval: 250,
    attempt_timeout: 5_000,
    start_delay: 0,
    ...change,
  });
  const run = (port: number) => prove(system, program.pid, probe(port), died.signal);
  return { system, program, died, run };
}

/** Serves each connection with `serve`. */
function listener(serve: (conn: Deno.TcpConn, count: number) => Promise<void> | void, port = 0) {
  const socket = Deno.listen({ hostname: "127.0.0.1", port });
  const open = new Set<Deno.TcpConn>();
  const served: Promise<unknown>[] = [];
  const accepted = (async () => {
    for await (const conn of socket) {
      open.add(conn);
      // The prober hangs up when it has seen enough: what is still written then may fail.
      served.push(Promise.resolve(serve(conn, open.size)).catch(() => {}));
    }
  })();
  return {
    port: socket.addr.port,
    async [Symbol.asyncDispose]() {
      socket.close();
      await accepted;
      for (const conn of open) {
        try {
          conn.close();
        } catch {
          // Closed by the handler already.
        }
      }
      await Promise.all(served);
    },
  };
}

async function answer(conn: Deno.TcpConn, text: string): Promise<string> {
  const buffer = new Uint8Array(4096);
  const read = await conn.read(buffer);
  await conn.write(new TextEncoder().encode(text));
  conn.close();
  return new TextDecoder().decode(buffer.subarray(0, read ?? 0));
}

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

for (const kind of ["http", "tcp"] as const) {
  Deno.test(`${kind}: proven by its own good answer`, async () => {
    const { system, program, run } = world(kind);
    await using server = listener(async (conn) => void await answer(conn, OK));
    system.listening.set(server.port, [{ address: "127.0.0.1", pids: [program.pid] }]);
    assertEquals(await run(server.port), { proven: true });
  });

  Deno.test(`${kind}: a worker of the group may be the listener`, async () => {
    const { system, program, run } = world(kind);
    await using server = listener(async (conn) => void await answer(conn, OK));
    system.listening.set(server.port, [{ address: "0.0.0.0", pids: [program.fork()] }]);
    assertEquals(await run(server.port), { proven: true });
  });

  Deno.test(`${kind}: an owner that cannot be looked up is accepted`, async () => {
    const { system, run } = world(kind);
    await using server = listener(async (conn) => void await answer(conn, OK));
    system.listening.set(server.port, [{ address: "127.0.0.1", pids: [] }]);
    assertEquals(await run(server.port), { proven: true });
  });

  Deno.test(`${kind}: a stranger's answer never counts, and is told with pid and name`, async () => {
    const { system, run } = world(kind);
    await using server = listener(async (conn) => void await answer(conn, OK));
    system.listening.set(server.port, [{ address: "127.0.0.1", pids: [4242] }]);
    system.rows.set(4242, "nginx");
    const verdict = await run(server.port);
    assert(!verdict.proven && verdict.port_taken);
    assertMatch(verdict.reason, /listened on by pid 4242 \(nginx\)/);
  });

  Deno.test(`${kind}: a worker that is known a moment later is no stranger`, async () => {
    const { system, program, run } = world(kind, {}, {
      ...realClock,
      timer(ms, callback) {
        return realClock.timer(ms, () => {
          if (ms === 50) program.members.add(worker);
          callback();
        });
      },
    });
    const worker = system.nextPid();
    await using server = listener(async (conn) => void await answer(conn, OK));
    system.listening.set(server.port, [{ address: "127.0.0.1", pids: [worker] }]);
    assertEquals(await run(server.port), { proven: true });
  });

  Deno.test(`${kind}: the exact address counts before the wildcard`, async () => {
    const { system, program, run } = world(kind);
    await using server = listener(async (conn) => void await answer(conn, OK));
    system.listening.set(server.port, [
      { address: "0.0.0.0", pids: [program.pid] },
      { address: "127.0.0.1", pids: [4242] },
    ]);
    assertEquals((await run(server.port)).proven, false);
  });

  Deno.test(`${kind}: nobody listens until the time is over`, async () => {
    const { run } = world(kind, { timeout: 60, interval: 10 });
    const socket = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = socket.addr;
    socket.close();
    const verdict = await run(port);
    assert(!verdict.proven && !verdict.port_taken);
    assertMatch(verdict.reason, /did not succeed within 60ms; last: nobody listens/);
  });

  Deno.test(`${kind}: it is found when it begins to listen`, async () => {
    const socket = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = socket.addr;
    socket.close();
    const refused = Promise.withResolvers<void>();
    const { system, program, run } = world(kind, {}, {
      ...realClock,
      timer(ms, callback) {
        // The wait after the first attempt.
        if (ms === 10) refused.resolve();
        return realClock.timer(ms, callback);
      },
    });
    const proven = run(port);
    await refused.promise;
    await using server = listener(async (conn) => void await answer(conn, OK), port);
    system.listening.set(port, [{ address: "127.0.0.1", pids: [program.pid] }]);
    assertEquals(await proven, { proven: true });
    assertEquals(server.port, port);
  });

  Deno.test(`${kind}: the program's death ends the wait at once`, async () => {
    const { died, run } = world(kind, { start_delay: 60_000 });
    const waiting = assertRejects(() => run(9), Error, "dead");
    died.abort(new Error("dead"));
    await waiting;
  });
}

Deno.test("the first waits are short and double up to the interval; the first attempt is at once", async () => {
  const { clock, system } = manualWorld();
  const program = system.spawn(SPEC);
  const probe: ActiveProbe = {
    kind: "tcp",
    host: "127.0.0.1",
    port: 1,
    path: "",
    timeout: 400,
    interval: 100,
    attempt_timeout: 49,
    start_delay: 30,
  };
  const waits: number[] = [];
  let set = Promise.withResolvers<number | "done">();
  const timer = clock.timer.bind(clock);
  clock.timer = (ms, run) => {
    const timed = timer(ms, run);
    if (ms !== probe.attempt_timeout) set.resolve(ms);
    return timed;
  };
  const verdict = prove(system, program.pid, probe, new AbortController().signal);
  verdict.then(() => set.resolve("done"));
  for (let wait = await set.promise; wait !== "done"; wait = await set.promise) {
    waits.push(wait);
    set = Promise.withResolvers();
    await clock.advance(wait);
  }
  assertEquals(waits, [30, 10, 20, 40, 80, 100, 100, 50]);
  assertEquals((await verdict).proven, false);
});

/** What the last attempt of an HTTP probe said about this server. */
async function lastWord(
  serve: (conn: Deno.TcpConn, count: number) => Promise<void> | void,
  change: Partial<ActiveProbe> = {},
): Promise<string> {
  const { run } = world("http", { timeout: 100, interval: 10, ...change });
  await using server = listener(serve);
  const verdict = await run(server.port);
  assert(!verdict.proven);
  return verdict.reason.split("last: ")[1];
}

const says = (text: string) => async (conn: Deno.TcpConn) => void await answer(conn, text);

Deno.test("http: the request is plain, with Host and the path", async () => {
  const { run } = world("http");
  let head = "";
  await using server = listener(async (conn) => void (head = await answer(conn, OK)));
  await run(server.port);
  assertEquals(
    head,
    `GET /ping HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nUser-Agent: supervisor-probe\r\n` +
      "Accept: */*\r\nConnection: close\r\n\r\n",
  );
});

Deno.test("http: only 2xx is good", async () => {
  assertEquals(await lastWord(says("HTTP/1.1 503 Warming Up\r\n\r\n")), "answered 503");
  assertEquals(await lastWord(says("HTTP/1.1 404\r\n\r\n")), "answered 404");
  const { run } = world("http");
  await using server = listener(says("HTTP/1.0 204 No Content\r\nX: y\r\n\r\n"));
  assertEquals(await run(server.port), { proven: true });
});

Deno.test("http: a redirect is not followed, not even to something good", async () => {
  let paths = "";
  const word = await lastWord(async (conn) => {
    const moved = "HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n";
    paths += (await answer(conn, moved)).split(" ")[1];
  });
  assertEquals(word, 'answered 302 to "/login"; redirects are not followed');
  assertMatch(paths, /^(\/ping)+$/);
});

Deno.test("http: a warming program is asked again until it is good", async () => {
  const { run } = world("http", { interval: 10 });
  await using server = listener(async (conn, count) => {
    await answer(conn, count < 3 ? "HTTP/1.1 503 Not Yet\r\n\r\n" : OK);
  });
  assertEquals(await run(server.port), { proven: true });
});

Deno.test("http: silence ends with the attempt, and the next attempt may be good", async () => {
  assertEquals(
    await lastWord(() => {}, { attempt_timeout: 20 }),
    "connected, but no answer in time",
  );
  const { run } = world("http", { attempt_timeout: 20 });
  await using server = listener(async (conn, count) => {
    if (count > 1) await answer(conn, OK);
  });
  assertEquals(await run(server.port), { proven: true });
});

Deno.test("http: an attempt that the deadline cut short does not hide the one before", async () => {
  const word = await lastWord(async (conn, count) => {
    if (count === 1) await answer(conn, "HTTP/1.1 503 Warming Up\r\n\r\n");
  });
  assertEquals(word, "answered 503");
});

Deno.test("http: an answer that comes byte by byte does not prolong its attempt", async () => {
  const word = await lastWord(async (conn) => {
    const drip = new TextEncoder().encode("x");
    await conn.write(new TextEncoder().encode("HTTP/1.1 200 OK\r\nX: "));
    for (;;) await conn.write(drip).then(() => new Promise((more) => setTimeout(more, 1)));
  }, { attempt_timeout: 20 });
  assertEquals(word, "connected, but no answer in time");
});

Deno.test("http: interim answers are passed over, but not for ever", async () => {
  const { run } = world("http");
  await using server = listener(says(`HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${OK}`));
  assertEquals(await run(server.port), { proven: true });
  const endless = "HTTP/1.1 100 Continue\r\n\r\n".repeat(9);
  assertEquals(await lastWord(says(endless)), "nothing but interim answers");
});

Deno.test("http: what is no answer is named", async () => {
  assertEquals(
    await lastWord(says("SSH-2.0-OpenSSH_9.2\r\n\r\n")),
    'answered "SSH-2.0-OpenSSH_9.2", which is not HTTP/1.1',
  );
  assertEquals(await lastWord((conn) => conn.close()), "closed without an answer");
  assertEquals(await lastWord(says("HTTP/1.1 200 OK\r\n")), "closed in mid-answer");
  const fat = `HTTP/1.1 200 OK\r\nX: ${"y".repeat(20_000)}\r\n\r\n`;
  assertEquals(await lastWord(says(fat)), "no end of the head within 16384 bytes");
});

Deno.test("http: a silent stranger is found without waiting for its answer", async () => {
  const { system, run } = world("http", { attempt_timeout: 60_000, timeout: 60_000 });
  await using server = listener(() => {});
  system.listening.set(server.port, [{ address: "127.0.0.1", pids: [4242] }]);
  const verdict = await run(server.port);
  assert(!verdict.proven && verdict.port_taken);
});

Deno.test("http: death in mid-attempt ends it at once", async () => {
  const { died, run } = world("http");
  await using server = listener(() => died.abort(new Error("dead")));
  await assertRejects(() => run(server.port), Error, "dead");
});

Deno.test("a probed process: crash restarts go through the probe again", async () => {
  const { system } = world("http");
  const here = new World(system);
  let good = true;
  await using server = listener(async (conn) => {
    await answer(conn, good ? OK : "HTTP/1.1 503 Not Yet\r\n\r\n");
  });
  const process = here.process(specOf({
    probe: {
      kind: "http",
      host: "127.0.0.1",
      port: server.port,
      path: "/ping",
      timeout: 5_000,
      interval: 5,
      attempt_timeout: 1_000,
      start_delay: 0,
    },
    restart: { delay: 0, window: 0, backoff_factor: 1, max_delay: 0 },
  }));
  const seen: string[] = [];
  const healed = Promise.withResolvers<void>();
  const unready = Promise.withResolvers<void>();
  process.onChange(() => {
    seen.push(`${process.state} ${process.healthy}`);
    if (seen.length > 3 && process.state === "starting") unready.resolve();
    if (seen.length > 3 && process.healthy) healed.resolve();
  });
  await process.start("deploy", { supervise: false });
  assertEquals(seen.at(-1), "running true");
  good = false;
  system.last.exit(1);
  await unready.promise;
  assert(!process.healthy);
  good = true;
  await healed.promise;
  assertEquals(process.snapshot().restarts, 1);
  await process.stop();
});

Deno.test("a probed process on trial: the verdict refuses the start and stops the program", async () => {
  const { system } = world("tcp");
  const here = new World(system);
  await using server = listener(() => {});
  system.listening.set(server.port, [{ address: "127.0.0.1", pids: [4242] }]);
  const process = here.process(specOf({
    probe: {
      kind: "tcp",
      host: "127.0.0.1",
      port: server.port,
      path: "",
      timeout: 5_000,
      interval: 5,
      attempt_timeout: 1_000,
      start_delay: 0,
    },
  }, { port: server.port }));
  const error = await process.start("deploy", { supervise: false }).catch((error) => error);
  assertEquals(error.detail.port_taken, true);
  assertMatch(error.fix, /range of ports/);
  await process.stop();
  assert(!system.last.alive);
});

Deno.test("a verdict that comes with a stop is no verdict", async () => {
  const { system } = world("tcp");
  const here = new World(system);
  await using server = listener(() => {});
  const { port } = server;
  const tcp = { kind: "tcp", host: "127.0.0.1", port, path: "", timeout: 5_000 } as const;
  const times = { interval: 5, attempt_timeout: 1_000, start_delay: 0 };
  const process = here.process(specOf({ probe: { ...tcp, ...times } }));
  let stopping: Promise<unknown> | undefined;
  system.listeners = () => {
    stopping ??= process.stop();
    return [];
  };
  await assertRejects(() => process.start("deploy"), Error, "stopped meanwhile");
  await stopping;
  assert(!here.names.includes("process_ready"));
});
