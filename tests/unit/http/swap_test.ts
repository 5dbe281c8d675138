/** Releases swapped under load: every request is answered, by a program that is still there. */

import { assertEquals, assertGreater } from "@std/assert";
import { UpstreamSet } from "../../../lib/http/mod.ts";
import { startLoad } from "../../kit/load.ts";
import { until } from "../../kit/wait.ts";
import { answering, ok, Proxy } from "./proxy_kit.ts";

const SWAPS = 20;

for (const mode of ["keep-alive", "close"] as const) {
  Deno.test(`http: ${SWAPS} swaps under load (${mode}), old programs ended: no request fails`, async () => {
    let program = answering(() => ok("v0"));
    {
      await using proxy = new Proxy([program.port]);
      const load = startLoad({ port: proxy.front.address.port, connections: 8, mode });
      let set: UpstreamSet = proxy.set;
      for (let i = 1; i <= SWAPS; i++) {
        const served = proxy.front.served;
        await until("requests flow", () => proxy.front.served > served + 20);
        const next = answering(() => ok(`v${i}`));
        const successor = new UpstreamSet(`v${i}`);
        successor.add(proxy.upstream("web", next.port));
        await proxy.gate.swap(successor).idle;
        set.close();
        await program[Symbol.asyncDispose]();
        [program, set] = [next, successor];
      }
      const report = await load.stop();
      assertEquals(report.failed, 0, report.text);
      assertGreater(report.ok, SWAPS * 20);
      set.close();
    }
    await program[Symbol.asyncDispose]();
  });
}
