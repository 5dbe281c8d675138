/** nats-server with JetStream, its store in the test's directory. */

import type { BrokerRecipe } from "./server.ts";

/** Whom it lets in; nobody is asked where none is named. */
export interface NatsUser {
  user: string;
  password: string;
}

/** A server; `user`: the only one it lets in; `more`: lines of its configuration. */
export function natsServer(user?: NatsUser, ...more: string[]): BrokerRecipe {
  return {
    name: "nats-server",
    package: "nats-server",
    argv: (port, dir) => {
      const lines = [
        `listen: "127.0.0.1:${port}"`,
        // A job of 50 MB is a third larger as a message.
        "max_payload: 67108864",
        "max_pending: 268435456",
        "write_deadline: 20s",
        `jetstream { store_dir: "${dir}/store", max_file: 4G }`,
        ...more,
      ];
      if (user !== undefined) {
        lines.push(`authorization { user: "${user.user}", password: "${user.password}" }`);
      }
      Deno.writeTextFileSync(`${dir}/nats.conf`, lines.join("\n"));
      return ["setpriv", "--pdeathsig", "KILL", "nats-server", "-c", `${dir}/nats.conf`];
    },
    async answers(port) {
      using conn = await Deno.connect({ hostname: "127.0.0.1", port });
      const buffer = new Uint8Array(16);
      const count = await conn.read(buffer) ?? 0;
      return new TextDecoder().decode(buffer.subarray(0, count)).startsWith("INFO");
    },
  };
}
