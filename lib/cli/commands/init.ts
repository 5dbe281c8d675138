/** `init`: a first configuration, from answers or from another program's. */

import { basename, dirname, join, resolve } from "@std/path";
import { Exit, Failure, messageOf } from "../../core/failure.ts";
import { CONFIG_NAMES } from "../../config/file.ts";
import { applicationFrom, readAddress, readApplication, Refusal } from "../../config/names.ts";
import { ask, canAsk, type ReadAnswer } from "../ask.ts";
import type { Call, Command } from "../command.ts";
import { SCHEMA_FILE } from "../config_text.ts";
import { type Answers, APPLICATION_KINDS, type ApplicationKind } from "../first_config.ts";
import { importFrom, tellNotes } from "../import_from.ts";

export const init: Command = {
  name: "init",
  about: "write a first configuration, with comments",
  options: [
    {
      name: "from",
      kind: "path",
      value: "FILE",
      about: "take over the configuration of another program, as import does",
    },
    {
      name: "kind",
      kind: "text",
      value: "KIND",
      about: "what runs: something that listens on a port, or workers as RoadRunner has them",
      values: APPLICATION_KINDS,
    },
    { name: "application", kind: "text", value: "NAME", about: "its name" },
    { name: "command", kind: "text", value: "COMMAND", about: "what starts it, or one worker" },
    { name: "address", kind: "text", value: "ADDRESS", about: "where clients reach it" },
    {
      name: "health",
      kind: "text",
      value: "PATH",
      about: "what a program answers when it is ready",
    },
  ],
  exits: {
    [Exit.failed]: "there is a file of that name already, or it cannot be written",
    [Exit.config]: "the file of the other program cannot be read as what it is",
  },
  examples: [
    "supervisor init",
    "supervisor init --command 'node server.js' --health /ping",
    "supervisor init --kind workers --command 'php worker.php'",
    "supervisor init --from ecosystem.config.js",
  ],
  async run(call) {
    const { values, out, cwd } = call;
    const file = resolve(cwd, values.text("config") ?? CONFIG_NAMES[0]);
    // Asked for before the questions: nobody shall answer them for nothing.
    if (exists(file)) throw taken(file);
    const from = values.text("from");
    const text = from === undefined ? await answered(call, file) : await imported(call, from);
    write(file, text);
    const written = [file];
    const schema = join(dirname(file), SCHEMA_FILE);
    if (!exists(schema)) {
      write(schema, await schemaText());
      written.push(schema);
    }
    await out.result(
      { status: "success", files: written },
      () => written.map((name) => `wrote ${name}\n`).join(""),
    );
    return Exit.done;
  },
};

async function imported(call: Call, from: string): Promise<string> {
  const result = await importFrom(call, resolve(call.cwd, from), undefined);
  await tellNotes(call.out, result.notes);
  return result.text;
}

async function answered(call: Call, file: string): Promise<string> {
  const { out } = call;
  if (!canAsk(out) && call.values.text("command") === undefined) {
    throw new Failure("init has nobody to ask what to run", {
      exit: Exit.usage,
      fix: "write --command COMMAND, or --from FILE",
    });
  }
  const { firstConfig } = await import("../first_config.ts");
  return await firstConfig(await answers(call, dirname(file)), basename(file));
}

async function answers(call: Call, dir: string): Promise<Answers> {
  const kind = await answer(call, "kind", "program or workers?", "program", readKind);
  const program = kind === "program";
  return {
    kind: kind as ApplicationKind,
    application: await answer(
      call,
      "application",
      "name of the application",
      applicationFrom(basename(dir)),
      readApplication,
    ),
    command: await answer(
      call,
      "command",
      program
        ? "command that starts it; PORT says where to listen"
        : "command that starts a worker",
      undefined,
      oneLine,
    ),
    address: await answer(
      call,
      "address",
      "address that clients shall use",
      program ? "127.0.0.1:8182" : "127.0.0.1:8080",
      checkedAddress,
    ),
    health: program
      ? await answer(call, "health", "path that answers when it is ready", "/ping", readPath)
      : "",
  };
}

/** From the option, else from the person, else the standard. @throws Failure */
async function answer(
  { values, out }: Call,
  name: string,
  question: string,
  standard: string | undefined,
  read: ReadAnswer,
): Promise<string> {
  const given = values.text(name) ?? (canAsk(out) ? undefined : standard);
  if (given === undefined) return await ask(out, question, standard, read);
  const value = read(given);
  if (!(value instanceof Refusal)) return value;
  throw new Failure(`--${name} ${value.message}`, { exit: Exit.usage, fix: value.fix });
}

function readKind(text: string): string | Refusal {
  if ((APPLICATION_KINDS as readonly string[]).includes(text)) return text;
  return new Refusal(`must be one of ${APPLICATION_KINDS.join(", ")}`, "write one of them");
}

function oneLine(text: string): string | Refusal {
  // deno-lint-ignore no-control-regex
  if (!/[\x00-\x1f]/.test(text)) return text;
  return new Refusal("must be one line", "put more into a script");
}

function checkedAddress(text: string): string | Refusal {
  const address = readAddress(text);
  return address instanceof Refusal ? address : text;
}

function readPath(text: string): string | Refusal {
  if (/^\/\S*$/.test(text)) return text;
  return new Refusal(
    `must begin with / and have no blanks, got ${JSON.stringify(text)}`,
    "write /ping",
  );
}

function exists(file: string): boolean {
  try {
    Deno.lstatSync(file);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw cannotWrite(file, error);
  }
}

function write(file: string, text: string): void {
  try {
    Deno.writeTextFileSync(file, text, { createNew: true });
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) throw taken(file);
    throw cannotWrite(file, error);
  }
}

function taken(file: string): Failure {
  return new Failure(`"${file}" is there already, and nothing is overwritten`, {
    fix: "name another file with --config, or move that one away",
  });
}

function cannotWrite(file: string, error: unknown): Failure {
  return new Failure(`cannot write "${file}": ${messageOf(error)}`, {
    fix: "choose a directory that exists and that you may write to",
    cause: error,
  });
}

async function schemaText(): Promise<string> {
  const { jsonSchema } = await import("../../config/mod.ts");
  const { sections } = await import("../../../plugins/registry.ts");
  return `${JSON.stringify(jsonSchema(sections()), null, 2)}\n`;
}
