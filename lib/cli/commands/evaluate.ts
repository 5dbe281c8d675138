/**
 * Not for people: evaluates a JavaScript configuration in this process, for `import` in another one.
 *
 * Invariant: prints one answer, whatever the file does, unless the file ends the process.
 */

import { Exit } from "../../core/failure.ts";
import type { Command } from "../command.ts";

/** Its name. */
export const EVALUATE = "__evaluate";

export const evaluate: Command = {
  name: EVALUATE,
  about: "evaluate a JavaScript configuration, for import",
  arguments: [{ name: "FILE", about: "its absolute path" }],
  options: [],
  exits: {},
  examples: [`supervisor ${EVALUATE} /srv/shop/rollbridge.js`],
  async run({ arguments: [file], out }) {
    const { evaluated } = await import("../../config/import/evaluated.ts");
    await out.data(await evaluated(file));
    return Exit.done;
  },
};
