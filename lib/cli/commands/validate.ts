/** `validate`: every problem of the configuration at once. */

import type { Config } from "../../config/config.ts";
import { Exit } from "../../core/failure.ts";
import type { Command } from "../command.ts";
import { configRequest } from "../place.ts";
import { count } from "../render/amount.ts";

export const validate: Command = {
  name: "validate",
  about: "check the configuration and show all its problems",
  options: [],
  exits: { [Exit.config]: "the configuration is invalid" },
  examples: ["supervisor validate", "supervisor validate -c supervisor.yaml --json"],
  async run({ values, out, cwd, env }) {
    const { problemsJson, read, renderProblems } = await import("../../config/mod.ts");
    const { sections } = await import("../../../plugins/registry.ts");
    const request = await configRequest(values, cwd, env);
    const { config, problems, application } = await read(request, sections());
    if (out.json) {
      await out.document({
        status: config === undefined ? "error" : "success",
        file: request.file,
        application: application ?? null,
        ...problemsJson(problems),
      });
    } else {
      if (problems.length > 0) await out.complain(`${renderProblems(problems)}\n`);
      if (config !== undefined) await out.data(`${request.file} is valid: ${summary(config)}\n`);
      else await out.complain(`\n${request.file} is invalid\n`);
    }
    return config === undefined ? Exit.config : Exit.done;
  },
};

function summary(config: Config): string {
  const { application, processes, proxy } = config;
  const parts = [`application ${application}`, count(processes.length, "process", "processes")];
  if (proxy !== undefined) parts.push(`proxy on ${proxy.address.host}:${proxy.address.port}`);
  return parts.join(", ");
}
