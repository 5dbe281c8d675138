/** What runs without a deploy. */

import { assertEquals } from "@std/assert";
import type { Config, ProcessConfig } from "../../../lib/config/config.ts";
import {
  hasInitial,
  INITIAL_LINEAGE,
  initialConfig,
  isInitial,
} from "../../../lib/release/initial.ts";
import type { ReleaseRecord } from "../../../lib/release/types.ts";
import { configOf, processOf, proxiedOf } from "./configs.ts";
import { workersConfig } from "./worker_configs.ts";

const service = (id: string): ProcessConfig =>
  processOf(id, "companion", { origin: "service" } as Partial<ProcessConfig>);

const CASES: [title: string, config: Config, is: boolean][] = [
  ["nothing configured", configOf([]), false],
  ["only processes", configOf([processOf("a"), proxiedOf("web")]), false],
  ["an entry of the service section", configOf([processOf("a"), service("clock")]), true],
  ["a pool", workersConfig(), true],
  ["a command with the path", workersConfig({ command: "php {{release_path}}/w.php" }), false],
  ["a command with the id", workersConfig({ command: ["php", "{{ release_id }}"] }), false],
  ["a pool's command", workersConfig({}, { command: "php {{revision}}.php" }), false],
  ["an environment value", workersConfig({ env: { A: "{{release_id}}" } }), false],
  ["a template without a release", workersConfig({ env: { A: "{{application}}" } }), true],
  [
    "the port of a process",
    workersConfig({ env: { A: "{{ports.web}}" } }, {}, { processes: [proxiedOf("web")] }),
    false,
  ],
  [
    "a pool that waits beside a service that does not",
    workersConfig({ command: "{{release_path}}/w" }, {}, { processes: [service("clock")] }),
    true,
  ],
];

for (const [title, config, is] of CASES) {
  Deno.test(`${title}: ${is ? "runs at once" : "waits for a deploy"}`, () => {
    assertEquals(hasInitial(config), is);
  });
}

Deno.test("of the processes only those of the service section are part of it", () => {
  const config = configOf([processOf("a"), service("clock"), proxiedOf("web")]);
  assertEquals(initialConfig(config).processes.map(({ id }) => id), ["clock"]);
  assertEquals(config.processes.length, 3, "the configuration itself is as it was");
});

Deno.test("a deploy may be called initial without being it", () => {
  const record = (lineage: string) => ({ release_id: "initial", lineage }) as ReleaseRecord;
  assertEquals(isInitial(record(INITIAL_LINEAGE)), true);
  assertEquals(isInitial(record("initial")), false);
});
