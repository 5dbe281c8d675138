/**
 * The commands, in the order in which one meets them.
 *
 * Invariant: the one list that parsing, help, the documentation check and completion use.
 */

import type { Command } from "./command.ts";
import { completionOf } from "./commands/completion.ts";
import { deploy } from "./commands/deploy.ts";
import { evaluate } from "./commands/evaluate.ts";
import { doctor } from "./commands/doctor.ts";
import { events } from "./commands/events.ts";
import { explain } from "./commands/explain.ts";
import { helpOf } from "./commands/help.ts";
import { import_ } from "./commands/import.ts";
import { init } from "./commands/init.ts";
import { jobsList, jobsPause, jobsResume, jobsStat } from "./commands/jobs.ts";
import { jobsDead, jobsDrop, jobsRetry } from "./commands/jobs_dead.ts";
import { jobsPush } from "./commands/jobs_push.ts";
import { logs } from "./commands/logs.ts";
import { names } from "./commands/names.ts";
import { plan } from "./commands/plan.ts";
import { predeployCleanup } from "./commands/predeploy_cleanup.ts";
import { recover } from "./commands/recover.ts";
import { reload } from "./commands/reload.ts";
import { reset } from "./commands/reset.ts";
import { restart } from "./commands/restart.ts";
import { rollback } from "./commands/rollback.ts";
import { scale } from "./commands/scale.ts";
import { schema } from "./commands/schema.ts";
import { serve } from "./commands/serve.ts";
import { shutdown } from "./commands/shutdown.ts";
import { status } from "./commands/status.ts";
import { stop } from "./commands/stop.ts";
import { systemd } from "./commands/systemd.ts";
import { top } from "./commands/top.ts";
import { validate } from "./commands/validate.ts";
import { version } from "./commands/version.ts";
import { workers } from "./commands/workers.ts";

export const COMMANDS: readonly Command[] = [
  serve,
  deploy,
  rollback,
  status,
  workers,
  top,
  stop,
  restart,
  reset,
  scale,
  shutdown,
  reload,
  plan,
  logs,
  events,
  explain,
  jobsList,
  jobsStat,
  jobsPush,
  jobsPause,
  jobsResume,
  jobsDead,
  jobsRetry,
  jobsDrop,
  validate,
  doctor,
  recover,
  predeployCleanup,
  init,
  import_,
  schema,
  systemd,
  completionOf(() => COMMANDS),
  version,
  helpOf(() => COMMANDS),
];

/** Commands that only the program itself calls. */
export const HIDDEN: readonly Command[] = [evaluate, names];
