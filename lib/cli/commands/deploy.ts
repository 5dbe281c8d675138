/** `deploy`: the swap to a new release. */

import { Exit } from "../../core/failure.ts";
import { CLIENT_EXITS, type Command } from "../command.ts";
import { ensureDaemon } from "../start.ts";
import { goLive } from "../go_live.ts";
import { releaseDir } from "../release_dir.ts";

export const deploy: Command = {
  name: "deploy",
  about: "start a release, prove it, switch to it, drain the one before",
  argumentMeans: "release-path",
  options: [
    {
      name: "release-path",
      kind: "path",
      value: "DIR",
      about: "directory of the release; symbolic links are resolved",
      required: true,
    },
    {
      name: "release-id",
      kind: "text",
      value: "ID",
      about: "its name (default: the revision, else made of the time)",
    },
    { name: "revision", kind: "text", value: "REV", about: "its revision (default: the name)" },
    {
      name: "ensure-daemon",
      kind: "flag",
      about: "start the daemon first when none runs, as serve --detach --ensure does",
    },
    { name: "wait", kind: "flag", about: "also wait until the release before is drained" },
  ],
  exits: {
    ...CLIENT_EXITS,
    [Exit.failed]: "the release did not come up; the one before still serves",
    [Exit.config]: "the configuration is invalid, or was changed in a way that cannot be live",
    [Exit.partly]: "the release is live, but with errors that are named",
  },
  examples: [
    "supervisor deploy --release-path releases/v2",
    "supervisor deploy --release-path /srv/shop/42 --release-id 42 --revision $(git rev-parse HEAD)",
  ],
  async run(call) {
    const { values } = call;
    const release_path = await releaseDir(call.cwd, values.text("release-path")!);
    if (values.flag("ensure-daemon")) await ensureDaemon(call);
    const request = {
      release_path,
      release_id: values.text("release-id"),
      revision: values.text("revision"),
      wait: values.flag("wait"),
    };
    const client = await call.client();
    return await goLive(call, (tell, signal) => client.deploy(request, tell, signal));
  },
};
