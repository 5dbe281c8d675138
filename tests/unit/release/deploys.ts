/** What the tests of deploys share: one of each policy, and programs that break. */

import { processOf, proxiedOf } from "./configs.ts";
import { nameOf, type Stage } from "./stage.ts";

/** One process of each policy. */
export const ALL = [
  processOf("beacon", "service", { port: { from: 9_000, to: 9_000 } }),
  processOf("worker", "companion", { port: { from: 0, to: 0 } }),
  proxiedOf("web", { replicas: 2 }),
  processOf("cron", "singleton", { port: { from: 9_100, to: 9_100 } }),
];

/** Lets every program of `id` of `release` end soon after it was born. */
export function breaks(stage: Stage, id: string, release: string): void {
  stage.system.born = (child) => {
    if (nameOf(child) === `${id} of ${release}`) stage.clock.timer(20, () => child.exit(1));
  };
}

/** Programs that find a stranger on one of `ports` end, as they do with EADDRINUSE. */
export function strangersOn(stage: Stage, ports: Set<number>): void {
  const address = "127.0.0.1";
  stage.system.born = (child) => {
    const port = Number(child.spec.env.SUPERVISOR_PORT);
    if (!ports.has(port)) return;
    stage.strangers.add(port);
    stage.system.listening.set(port, [{ address, pids: [7] }]);
    queueMicrotask(() => child.exit(98));
  };
}
