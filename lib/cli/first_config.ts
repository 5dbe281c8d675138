/**
 * The first configuration of an application, with a comment for everything one will want to change.
 *
 * Invariant: what it says passes our own validation, whatever the answers were.
 */

import { SCHEMA_FILE, SCHEMA_HINT, SCHEMA_LINE } from "./config_text.ts";

/** What runs: programs that listen on a port, or workers of a pool (RoadRunner's protocol). */
export const APPLICATION_KINDS = ["program", "workers"] as const;

/** One of them. */
export type ApplicationKind = typeof APPLICATION_KINDS[number];

/** What has to be known. */
export interface Answers {
  kind: ApplicationKind;
  application: string;
  command: string;
  address: string;
  /** Path that answers with 2xx when a program is ready. */
  health: string;
}

/** A text as YAML. */
type Scalar = (text: string) => string;

/** The file's text. @param file its name */
export async function firstConfig(answers: Answers, file: string): Promise<string> {
  const { stringify } = await import("../config/yaml_package.ts");
  const scalar = (text: string) => stringify(text, { lineWidth: 0, blockQuote: false }).trim();
  return `${head(answers, file, scalar)}\n${
    answers.kind === "program" ? program(answers, scalar) : workers(answers, scalar)
  }`;
}

function head({ application, kind }: Answers, file: string, scalar: Scalar): string {
  const run = kind === "program" ? "serve --release-path ." : "serve";
  return `# ${file}: how supervisor runs ${application}.
# ${SCHEMA_LINE}
#
#   supervisor validate                     is this file right?
#   ${`supervisor ${run}`.padEnd(40)}run it in this terminal, from this directory
#   supervisor deploy --release-path DIR    replace it, without losing a request
#   ${SCHEMA_HINT}
#                                           makes ${SCHEMA_FILE} anew after an update

version: "3"
application: ${scalar(application)}
`;
}

function program({ command, address, health }: Answers, scalar: Scalar): string {
  return `proxy:
  address: ${scalar(address)} # the one address that clients know
  health: { path: ${flowScalar(health)} } # must answer with 2xx before a release gets requests
  drain_timeout: 60s # requests of the old release may take this long to end

processes:
  web:
    policy: proxied # gets the requests; old and new run side by side during a deploy
    command: ${
    scalar(command.replace(/\$(?=[${])/g, "$$$$"))
  } # run by a shell, in the release's directory
    port: 0 # any free one; or a range, such as 18182-18299
    env: { PORT: "{{port}}" } # where the program has to listen
    # replicas: 2
    # graceful_stop: 10s # between SIGTERM and SIGKILL
    # memory: { limit: 512MB }

  # A program beside it, started and stopped with its release:
  #
  # worker:
  #   command: node worker.js
  #   depends_on: { web: healthy }
`;
}

function workers({ command, address }: Answers, scalar: Scalar): string {
  return `server:
  command: ${scalar(command.replace(/\$/g, "$$$$"))} # starts one worker; split into words, no shell

http:
  address: ${scalar(address)} # the one address that clients know
  pool:
    num_workers: 4
    # max_jobs: 1000 # a worker is replaced after so many requests
    # supervisor: { max_worker_memory: 128 } # MB, looked at between requests
`;
}

/** Within braces a comma or a brace would end it. */
function flowScalar(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : JSON.stringify(text);
}
