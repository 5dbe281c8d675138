/** Redis of a test's own. */

import type { BrokerRecipe } from "./server.ts";

/** With an append-only file that is synced before every answer; `more`: further settings. */
export function redisServer(...more: string[]): BrokerRecipe {
  return {
    name: "redis-server",
    package: "redis-server",
    argv: (port, dir) => [
      // A test run that is killed leaves no server.
      ..."setpriv --pdeathsig KILL redis-server".split(" "),
      ..."--bind 127.0.0.1 --save --appendonly yes --appendfsync always".split(" "),
      "--port",
      String(port),
      "--dir",
      dir,
      ...more,
    ],
    answers: async (port) => {
      using connection = await Deno.connect({ hostname: "127.0.0.1", port });
      await connection.write(new TextEncoder().encode("PING\r\n"));
      const answer = new Uint8Array(64);
      const count = await connection.read(answer);
      const text = new TextDecoder().decode(answer.subarray(0, count ?? 0));
      // A server that wants a password is one, too.
      return /^(?:\+PONG|-NOAUTH)/.test(text);
    },
  };
}
