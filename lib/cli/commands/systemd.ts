/** `systemd`: a unit for this configuration. */

import { Exit, Failure } from "../../core/failure.ts";
import type { Config } from "../../config/config.ts";
import type { Command } from "../command.ts";
import { ourselves } from "../ourselves.ts";
import { type ConfigRequest, configRequest } from "../place.ts";

export const systemd: Command = {
  name: "systemd",
  about: "print a systemd unit whose limits follow from the configuration",
  options: [
    { name: "user", kind: "text", value: "USER", about: "who the daemon runs as (default: root)" },
  ],
  exits: { [Exit.config]: "the configuration is invalid, or does not fit a unit" },
  examples: [
    "supervisor systemd -c supervisor.yaml > supervisor-shop.service",
    "supervisor systemd -c supervisor.yaml --user shop > supervisor-shop.service",
  ],
  async run({ values, out, cwd, env }) {
    const { readOrFail } = await import("../../config/mod.ts");
    const { sections } = await import("../../../plugins/registry.ts");
    const { pathsOf } = await import("../../daemon/paths.ts");
    const { unitName, unitOf } = await import("../../daemon/unit.ts");
    const request = await configRequest(values, cwd, env);
    const config = await readOrFail(request, sections());
    const user = values.text("user");
    const daemons = user === "root" || user === "0" ? undefined : user;
    checkPlaces(config, daemons);
    const paths = pathsOf(config, {}, daemons === undefined ? 0 : 1);
    const unit = unitOf({ config, paths, argv: commandLine(request), user: daemons });
    const name = unitName(config);
    await out.talk(
      `install it as /etc/systemd/system/${name}, then:\n` +
        `systemctl daemon-reload && systemctl enable --now ${name}\n`,
    );
    await out.result({ status: "success", name, unit }, () => unit);
    return Exit.done;
  },
};

/**
 * Where an ordinary user's daemon keeps its things depends on the environment, which a unit does not
 * share with the shell from which commands are called.
 */
function checkPlaces({ application, control, state_dir }: Config, user: string | undefined): void {
  if (user === undefined || (control.socket !== undefined && state_dir !== undefined)) return;
  throw new Failure(
    `a unit for the user "${user}" needs fixed places, or commands would look for the daemon elsewhere`,
    {
      exit: Exit.config,
      fix: `write state_dir: /var/lib/supervisor/${application} and ` +
        `control: { socket: /run/supervisor/${application}/control.sock }`,
    },
  );
}

function commandLine({ file, overrides, dotenv }: ConfigRequest): string[] {
  return [
    ...ourselves(),
    "serve",
    "--config",
    file,
    ...overrides.flatMap((override) => ["--override", override]),
    ...(dotenv === undefined ? [] : ["--dotenv", dotenv]),
  ];
}
