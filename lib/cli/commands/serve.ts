/** `serve`: the daemon itself, in the foreground or detached. */

import { resolve } from "@std/path";
import { Exit, type ExitCode, failureJson } from "../../core/failure.ts";
import type { Ready, ServeOptions } from "../../daemon/options.ts";
import { prepareLog } from "../../os/log_file.ts";
import { redirect } from "../../os/stdio.ts";
import type { Call, Command } from "../command.ts";
import { homeOf } from "../place.ts";
import { releaseDir } from "../release_dir.ts";
import { startedText } from "../render/started.ts";
import { DETACHED, start } from "../start.ts";

export const serve: Command = {
  name: "serve",
  about: "run the daemon; with --detach return once it is ready",
  options: [
    { name: "detach", kind: "flag", about: "leave it running and return when it is ready" },
    {
      name: "ensure",
      kind: "flag",
      about: "a daemon that runs already is a success",
      needs: "detach",
    },
    {
      name: "log-file",
      kind: "path",
      value: "FILE",
      about: "the daemon's log (default: stderr; detached: daemon.log in the log directory)",
    },
    {
      name: "pid-file",
      kind: "path",
      value: "FILE",
      about: "another place for the pid file (default: beside the control socket)",
    },
    {
      name: "release-path",
      kind: "path",
      value: "DIR",
      about: "bring up this release instead of the one that was live last",
    },
    {
      name: "release-id",
      kind: "text",
      value: "ID",
      about: "its name (default: the revision, else made of the time)",
      needs: "release-path",
    },
    {
      name: "revision",
      kind: "text",
      value: "REV",
      about: "its revision (default: the name)",
      needs: "release-path",
    },
  ],
  exits: {
    [Exit.failed]: "it could not start, or something could not be stopped at its end",
    [Exit.config]: "the configuration is invalid",
    [Exit.running]: "a daemon of this application runs already",
  },
  examples: [
    "supervisor serve",
    "supervisor serve --detach --ensure",
    "supervisor serve --release-path releases/v1",
  ],
  run: (call) => call.values.flag("detach") ? serveDetached(call) : serveHere(call),
};

async function serveDetached(call: Call): Promise<ExitCode> {
  const { values, out } = call;
  const args: string[] = [];
  const pidFile = pathOf(call, "pid-file");
  if (pidFile !== undefined) args.push("--pid-file", pidFile);
  const release = await releaseOf(call);
  if (release !== undefined) args.push("--release-path", release.path);
  for (const name of ["release-id", "revision"]) {
    const value = values.text(name);
    if (value !== undefined) args.push(`--${name}=${value}`);
  }
  const ensure = values.flag("ensure");
  const started = await start(call, { ensure, log_file: pathOf(call, "log-file"), args });
  await out.result({ status: "success", ...started }, () => startedText(started));
  return Exit.done;
}

async function serveHere(call: Call): Promise<ExitCode> {
  const { out, env } = call;
  const { request } = homeOf(await call.place());
  const stderr_file = env[DETACHED] || undefined;
  const detached = stderr_file !== undefined;
  let ready = false;
  const onReady = (said: Ready) => {
    ready = true;
    void announce(call, said, detached);
  };
  try {
    const log_file = pathOf(call, "log-file");
    if (log_file !== undefined) prepareLog(log_file, false);
    const { runDaemon } = await import("../../daemon/daemon.ts");
    const { file, overrides, dotenv } = request;
    const pid_file = pathOf(call, "pid-file");
    const release = await releaseOf(call);
    const options: ServeOptions = {
      ...{ file, overrides, dotenv, log_file, stderr_file, pid_file, release },
      onReady,
    };
    return await runDaemon(options);
  } catch (error) {
    if (detached && !ready) await out.document({ ready: false, ...failureJson(error) });
    throw error;
  }
}

/** Tells whoever waits that the daemon is up. */
async function announce({ out }: Call, said: Ready, detached: boolean): Promise<void> {
  if (out.json || detached) await out.document(said);
  // The parent has its line; nothing shall be written into a pipe that nobody reads.
  if (detached) redirect(1, "/dev/null");
}

async function releaseOf({ values, cwd }: Call): Promise<ServeOptions["release"]> {
  const given = values.text("release-path");
  if (given === undefined) return undefined;
  const path = await releaseDir(cwd, given);
  return { path, id: values.text("release-id"), revision: values.text("revision") };
}

function pathOf({ values, cwd }: Call, name: string): string | undefined {
  const given = values.text(name);
  return given === undefined ? undefined : resolve(cwd, given);
}
