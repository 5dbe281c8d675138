/** The driver amqp over TLS: a certificate that is trusted, and one that is not. */

import { assertEquals } from "@std/assert";
import { rabbitmq } from "../kit/brokers/amqp.ts";
import { AmqpBench } from "../kit/brokers/amqp_bench.ts";
import { BrokerServer } from "../kit/brokers/server.ts";
import { freePort } from "../kit/ports.ts";
import { Scratch } from "../kit/scratch.ts";
import { until } from "../kit/wait.ts";
import { jobOf, takeIds } from "../unit/plugins/jobs/conformance/kit.ts";

/** Signed by itself. */
async function certificate(scratch: Scratch): Promise<{ cert: string; key: string }> {
  const [cert, key] = [scratch.path("cert.pem"), scratch.path("key.pem")];
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const no = ["-addext", "basicConstraints=critical,CA:FALSE"];
  const { success } = await new Deno.Command("openssl", {
    args: ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert]
      .concat(names, no),
    stderr: "null",
  }).output();
  assertEquals(success, true);
  return { cert, key };
}

Deno.test("amqp: over TLS, with whom root_ca names", async () => {
  using scratch = new Scratch();
  const { cert, key } = await certificate(scratch);
  const port = freePort();
  const config = `listeners.ssl.default = 127.0.0.1:${port}
ssl_options.cacertfile = ${cert}
ssl_options.certfile = ${cert}
ssl_options.keyfile = ${key}
`;
  await using server = await BrokerServer.start(rabbitmq(config));
  await using bench = new AmqpBench(server.address);
  const addr = `amqps://guest:guest@localhost:${port}/`;
  const driver = bench.make("default", {}, { addr, tls: { root_ca: cert } });
  await driver.open();
  await until("it is connected", () => {
    const { state } = driver;
    if (state.state === "connecting" && state.error !== undefined) throw new Error(state.error);
    return state.state === "ready";
  });
  await driver.push([jobOf({ id: "a" })]);
  assertEquals(await takeIds(driver, 1), ["a"]);
  const distrustful = bench.make("default", {}, { addr });
  await distrustful.open();
  await until("it is refused", () => {
    const { state } = distrustful;
    if (state.state === "ready") throw new Error("it is connected");
    return /TLS|certificate|signed|issuer/i.test(state.error ?? "");
  });
});
