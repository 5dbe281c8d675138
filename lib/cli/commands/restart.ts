/** `restart`: processes anew, without a gap where a new one can be proven first. */

import { Exit, Failure } from "../../core/failure.ts";
import { CLIENT_EXITS, type Command } from "../command.ts";

const POLICIES = ["proxied", "companion", "singleton", "service"] as const;

export const restart: Command = {
  name: "restart",
  about: "restart processes; also revives those that were given up",
  argumentMeans: "process",
  options: [
    {
      name: "process",
      kind: "text",
      value: "ID",
      about: "one process with all copies, or one copy",
      names: ["process"],
    },
    {
      name: "policy",
      kind: "text",
      value: "POLICY",
      about: "all processes of a policy",
      values: POLICIES,
    },
  ],
  exits: {
    ...CLIENT_EXITS,
    [Exit.failed]: "a process did not come up again",
  },
  examples: [
    "supervisor restart",
    "supervisor restart --process web",
    "supervisor restart --policy companion",
  ],
  async run({ values, out, client }) {
    const process = values.text("process");
    const policy = values.text("policy") as typeof POLICIES[number] | undefined;
    if (process !== undefined && policy !== undefined) {
      const fix = "leave one of them out";
      throw new Failure("--process and --policy exclude each other", { exit: Exit.usage, fix });
    }
    const result = await (await client()).restart({ process, policy });
    const names = result.restarted.join(", ");
    await out.result(result, () => names === "" ? "nothing to restart\n" : `restarted ${names}\n`);
    return Exit.done;
  },
};
