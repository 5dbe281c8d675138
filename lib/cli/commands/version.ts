/** `version`: which program this is. */

import { Exit } from "../../core/failure.ts";
import { VERSION } from "../../core/version.ts";
import type { Command } from "../command.ts";

export const version: Command = {
  name: "version",
  about: "print the version",
  options: [],
  exits: {},
  examples: ["supervisor version", "supervisor version --json"],
  async run({ out }) {
    const { os, arch, standalone } = Deno.build;
    const { deno, v8 } = Deno.version;
    const facts = { version: VERSION, deno, v8, os, arch, compiled: standalone };
    const text = `supervisor ${VERSION} (deno ${deno}, ${os} ${arch})\n`;
    await out.result(facts, () => text);
    return Exit.done;
  },
};
