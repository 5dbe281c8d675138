/**
 * RabbitMQ for tests: a node of its own, with its own epmd in the same process group, so that the end
 * of the group is the end of both.
 *
 * Invariant: nothing outside the scratch directory is read or written; the node ends with whoever
 * started it, however that ends.
 */

import { freePorts } from "../ports.ts";
import type { BrokerRecipe } from "./server.ts";

/** Where Debian's package has it; its command in /usr/sbin changes the user and ends up elsewhere. */
const SERVER =
  'for dir in /usr/lib/rabbitmq/lib/rabbitmq_server-*; do exec "$dir/sbin/rabbitmq-server"; done';

/** A recipe for one server: its ports stay the same when it is started again. */
export function rabbitmq(config = ""): BrokerRecipe {
  const ports = freePorts(2);
  return {
    name: "rabbitmq-server",
    package: "rabbitmq-server",
    limit: 60_000,
    argv: (_port, dir) => {
      Deno.writeTextFileSync(`${dir}/rabbitmq.conf`, config);
      const epmd = `setpriv --pdeathsig KILL epmd -address 127.0.0.1 -port ${ports} &`;
      // Before Erlang looks for it: it would start one that outlives everybody.
      const there = `until epmd -port ${ports} -names >/dev/null 2>&1; do sleep 0.02; done;`;
      return ["setpriv", "--pdeathsig", "KILL", "sh", "-c", `${epmd} ${there} ${SERVER}`];
    },
    env: (port, dir) => ({
      HOME: dir,
      // Erlang itself instead of a shell around it: signals reach it.
      detached: "1",
      ERL_EPMD_PORT: String(ports),
      ERL_EPMD_ADDRESS: "127.0.0.1",
      RABBITMQ_NODENAME: `test${port}@localhost`,
      RABBITMQ_NODE_IP_ADDRESS: "127.0.0.1",
      RABBITMQ_NODE_PORT: String(port),
      RABBITMQ_DIST_PORT: String(ports + 1),
      RABBITMQ_MNESIA_BASE: `${dir}/data`,
      RABBITMQ_LOG_BASE: `${dir}/log`,
      RABBITMQ_LOGS: "-",
      RABBITMQ_ENABLED_PLUGINS_FILE: `${dir}/plugins`,
      RABBITMQ_CONFIG_FILE: `${dir}/rabbitmq.conf`,
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "+sbwt none +sbwtdcpu none +sbwtdio none " +
        // Otherwise 3 minutes: what expired while its new queue was not there yet is moved again.
        "-rabbit dead_letter_worker_publisher_confirm_timeout 5000",
    }),
    answers: greets,
  };
}

/** An empty header is answered with the version it wants: it is not only listening. */
async function greets(port: number): Promise<boolean> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(new TextEncoder().encode("AMQP\0\0\0\0"));
  return (await connection.read(new Uint8Array(8))) === 8;
}
