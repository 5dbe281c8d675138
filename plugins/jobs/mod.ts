/** Public face of the jobs plugin. */

import { jobsSection } from "../../lib/config/roadrunner/mod.ts";
import type { Plugin } from "../plugin.ts";
import { jobsChecks } from "./checks.ts";
import { compareJobs } from "./compare.ts";
import { JobsIntake } from "./intake.ts";
import { jobsTable } from "./rpc.ts";

/** Queues of jobs for worker pools. */
export const jobs: Plugin = {
  name: "jobs",
  section: { ...jobsSection, compare: compareJobs },
  create: (host) => new JobsIntake(host),
  checks: jobsChecks,
  rpc: (intake) => jobsTable(intake as JobsIntake),
  queues: (intake) => (intake as JobsIntake).engine,
};
