/** `scale`: more or fewer copies of a process, or workers of a pool. */

import { Exit, Failure } from "../../core/failure.ts";
import { CLIENT_EXITS, type Command } from "../command.ts";
import { harmless } from "../render/paint.ts";

export const scale: Command = {
  name: "scale",
  about: "run another number of copies or workers, until the configuration says another",
  arguments: [
    {
      name: "NAME",
      about: "the process, or the worker pool (http, jobs.mail)",
      names: ["process", "pool"],
    },
    { name: "COUNT", about: "how many; processes may have 0" },
  ],
  options: [],
  exits: {
    ...CLIENT_EXITS,
    [Exit.failed]: "they did not come up",
  },
  examples: ["supervisor scale worker 4", "supervisor scale http 8"],
  async run({ arguments: [name, count], out, client }) {
    if (!/^\d{1,4}$/.test(count)) {
      throw new Failure(`scale needs a whole number, not "${count}"`, {
        exit: Exit.usage,
        fix: `for example: supervisor scale ${name} 2`,
      });
    }
    const result = await (await client()).scale({ name, count: Number(count) });
    await out.result(
      result,
      () => `${harmless(result.name)}: ${result.previous} → ${result.count}\n`,
    );
    return Exit.done;
  },
};
