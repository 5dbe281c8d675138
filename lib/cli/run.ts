/**
 * One run of the program: parse, do, say how it ended.
 *
 * | what the command does         | what the caller gets                                       |
 * | ----------------------------- | ---------------------------------------------------------- |
 * | returns                       | its exit code                                              |
 * | throws a Failure              | sentence and fix on stderr (--json: FailureJson on stdout) |
 * | throws anything else: a bug   | one sentence, exit 1; the stack with SUPERVISOR_DEBUG=1    |
 *
 * Invariant: no stack trace reaches anybody who did not ask for it.
 */

import { resolve } from "@std/path";
import { Exit, type ExitCode, Failure, failureJson } from "../core/failure.ts";
import { realClock } from "../os/clock.ts";
import { onSignal } from "../os/signals.ts";
import { requirePlatform } from "../os/platform.ts";
import { type Call, type Command, interrupted, type Values } from "./command.ts";
import { commandHelp, overview } from "./help.ts";
import { Output } from "./output.ts";
import { parse } from "./parse.ts";
import { type Place, placeOf } from "./place.ts";
import { failureText } from "./render/failure.ts";
import { colourful, plain } from "./render/paint.ts";
import { COMMANDS, HIDDEN } from "./table.ts";

/** Runs the command that `args` name. @returns the exit code */
export async function run(args: string[]): Promise<ExitCode> {
  const env = Deno.env.toObject();
  // Known before parsing, because what parsing has to complain about is said in JSON too.
  const out = new Output(voiceOf(args.includes("--json"), env));
  try {
    requirePlatform();
    const parsed = parse(args, [...COMMANDS, ...HIDDEN], () => realClock.wall());
    const { command, values } = parsed;
    if (values.flag("version")) return await versionCommand().run(newCall(parsed, out, env));
    if (values.flag("help")) {
      await out.data(
        command === undefined ? overview(COMMANDS, parsed.group) : commandHelp(command),
      );
      return Exit.done;
    }
    if (command === undefined) {
      throw new Failure("no command was given", { exit: Exit.usage, fix: "see supervisor help" });
    }
    return await command.run(newCall(parsed, out, env));
  } catch (error) {
    const failure = failureJson(error);
    if (out.json) await out.document(failure);
    else await out.complain(failureText(failure, out.voice.talkPaint));
    if (env.SUPERVISOR_DEBUG === "1") await out.complain(`${stackOf(error)}\n`);
    return failure.exit;
  }
}

function versionCommand(): Command {
  return COMMANDS.find((command) => command.name === "version")!;
}

function voiceOf(json: boolean, env: Record<string, string>): Output["voice"] {
  const colours = (env.NO_COLOR ?? "") === "" && env.TERM !== "dumb";
  const terminal = Deno.stdout.isTerminal();
  return {
    json,
    terminal,
    paint: terminal && colours ? colourful : plain,
    talkPaint: Deno.stderr.isTerminal() && colours ? colourful : plain,
  };
}

function newCall(
  parsed: { values: Values; arguments: string[] },
  out: Output,
  env: Record<string, string>,
): Call {
  const { values } = parsed;
  const workdir = values.text("workdir");
  if (workdir !== undefined) enter(workdir);
  const cwd = Deno.cwd();
  let place: Promise<Place> | undefined;
  let interruption: AbortSignal | undefined;
  const placed = () => place ??= placeOf(values, cwd, env);
  return {
    values,
    arguments: parsed.arguments,
    out,
    clock: realClock,
    env,
    cwd,
    interrupt: () => interruption ??= interrupt(),
    place: placed,
    async client() {
      const { ControlClient } = await import("../control/client.ts");
      const { socket, home } = await placed();
      const meant = home && { application: home.identity.application, config: home.request.file };
      return new ControlClient(socket, realClock, meant);
    },
  };
}

function enter(dir: string): void {
  try {
    Deno.chdir(dir);
  } catch (error) {
    throw new Failure(`cannot go to the directory "${resolve(dir)}"`, {
      exit: Exit.usage,
      fix: "name an existing directory with --workdir",
      cause: error,
    });
  }
}

/** From now on Ctrl-C (and what a terminal or a service manager sends) ends the wait, not us. */
function interrupt(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    const remove = onSignal(name, () => {
      // The next one ends us the hard way, should something hang.
      remove();
      controller.abort(interrupted);
    });
  }
  return controller.signal;
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? "" : `\ncaused by: ${stackOf(error.cause)}`;
  return `${error.stack}${cause}`;
}
