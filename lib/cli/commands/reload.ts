/** `reload`: takes the changed configuration over. */

import { Exit } from "../../core/failure.ts";
import { CLIENT_EXITS, type Command } from "../command.ts";
import { changesText } from "../render/changes.ts";

export const reload: Command = {
  name: "reload",
  about: "read the configuration again and apply what has changed (as SIGHUP does)",
  options: [],
  exits: {
    ...CLIENT_EXITS,
    [Exit.failed]: "the new configuration could not be brought up; nothing has changed",
    [Exit.config]: "the new configuration is invalid or not applicable; nothing has changed",
    [Exit.partly]: "applied, but with errors that are named",
  },
  examples: ["supervisor plan", "supervisor reload"],
  async run({ out, client }) {
    const result = await (await client()).reload();
    await out.result(result, () => changesText(result, "done", out.voice.paint));
    return result.errors.length > 0 ? Exit.partly : Exit.done;
  },
};
