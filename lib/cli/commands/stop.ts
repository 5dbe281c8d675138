/** `stop`: takes a release out of service; the daemon stays. */

import { Exit } from "../../core/failure.ts";
import { CLIENT_EXITS, type Command } from "../command.ts";
import { stoppedText } from "../render/status.ts";

export const stop: Command = {
  name: "stop",
  about: "stop the live release, or the named one: drain, then stop; the daemon stays",
  argumentMeans: "release-id",
  options: [
    {
      name: "release-id",
      kind: "text",
      value: "ID",
      about: "the release to stop",
      names: ["release"],
    },
    { name: "now", kind: "flag", about: "do not drain" },
  ],
  exits: {
    ...CLIENT_EXITS,
    [Exit.failed]: "it could not be stopped",
  },
  examples: ["supervisor stop", "supervisor stop --release-id v1 --now"],
  async run({ values, out, client }) {
    const request = { release_id: values.text("release-id"), now: values.flag("now") };
    const status = await (await client()).stop(request);
    await out.result(status, () => stoppedText(status));
    return Exit.done;
  },
};
