/** `reset`: new workers for old, without a gap. */

import { Exit } from "../../core/failure.ts";
import { CLIENT_EXITS, type Command } from "../command.ts";
import { count, took } from "../render/amount.ts";
import { harmless } from "../render/paint.ts";

export const reset: Command = {
  name: "reset",
  about: "replace workers one after the other, each new one ready before the old one goes",
  arguments: [
    {
      name: "PLUGIN",
      about: "only this plugin (jobs) or pool (jobs.mail)",
      optional: true,
      names: ["pool"],
    },
  ],
  options: [],
  exits: {
    ...CLIENT_EXITS,
    [Exit.failed]: "a new worker did not come up; the earlier ones go on",
  },
  examples: ["supervisor reset", "supervisor reset http"],
  async run({ arguments: [plugin], out, client }) {
    const result = await (await client()).reset({ plugin });
    await out.result(
      result,
      () =>
        result.pools.map(({ pool, replaced, ms }) =>
          `${harmless(pool)}: ${count(replaced, "worker")} replaced in ${took(ms)}\n`
        ).join(""),
    );
    return Exit.done;
  },
};
