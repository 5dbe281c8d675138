/** `rollback`: back to a release that was live before. */

import { Exit } from "../../core/failure.ts";
import { CLIENT_EXITS, type Command } from "../command.ts";
import { goLive } from "../go_live.ts";

export const rollback: Command = {
  name: "rollback",
  about: "switch back to the release that was live before, or to the named one",
  argumentMeans: "release-id",
  options: [
    {
      name: "release-id",
      kind: "text",
      value: "ID",
      about: "the release to go back to",
      names: ["release"],
    },
    { name: "wait", kind: "flag", about: "also wait until the release before is drained" },
  ],
  exits: {
    ...CLIENT_EXITS,
    [Exit.failed]: "it did not come up, or its directory is gone; the live release still serves",
    [Exit.config]: "the configuration is invalid, or was changed in a way that cannot be live",
    [Exit.partly]: "the release is live, but with errors that are named",
  },
  examples: ["supervisor rollback", "supervisor rollback --release-id v1"],
  async run(call) {
    const { values } = call;
    const request = { release_id: values.text("release-id"), wait: values.flag("wait") };
    const client = await call.client();
    return await goLive(call, (tell, signal) => client.rollback(request, tell, signal));
  },
};
