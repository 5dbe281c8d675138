/** A stranger takes the port of a crashed program before it is back. */

import { assertEquals, assertNotEquals } from "@std/assert";
import { startDaemon } from "../kit/daemon.ts";
import { webProcess } from "../kit/programs.ts";

Deno.test("a live program whose port was taken while it was down comes back on another", async () => {
  await using d = await startDaemon({
    config: {
      proxy: { hold: "15s" },
      processes: { web: webProcess({ restart: { delay: "300ms" } }) },
    },
  });
  await d.deploy("v1");
  const web = (await d.status()).releases[0].processes[0];
  Deno.kill(-web.pid!, "SIGKILL");
  using _stranger = await listen(web.port!);

  const answer = await d.get();
  assertEquals([answer.status, answer.text.trim()], [200, "v1"], "held until it was back");
  const { processes, ports } = (await d.status()).releases[0];
  assertEquals(processes.map(({ id, state }) => [id, state]), [["web", "running"]]);
  assertNotEquals(ports.web, web.port);
});

/** Listens on a port that a program has just left. */
async function listen(port: number): Promise<Deno.Listener> {
  for (;;) {
    try {
      return Deno.listen({ hostname: "127.0.0.1", port });
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
}
