/**
 * What `doctor` asks of pipelines: whether each could be opened now, as its driver says.
 *
 * Invariant: all are asked side by side, each for CHECK_LIMIT at most; a driver without a question of
 * its own needs nothing from outside.
 */

import type { Config } from "../../lib/config/config.ts";
import { jobsOf } from "../../lib/config/roadrunner/of.ts";
import type { PipelineConfig } from "../../lib/config/roadrunner/jobs.ts";
import { type Check, fail, type Finding, ok, together } from "../../lib/core/check.ts";
import { within } from "../../lib/core/clock.ts";
import { formatDuration } from "../../lib/core/duration.ts";
import { Failure } from "../../lib/core/failure.ts";
import type { CheckHost } from "../plugin.ts";
import type { DriverHost, DriverRecipe } from "./driver.ts";
import { recipeOf } from "./drivers.ts";

/** How long a broker may take to answer, ms. */
export const CHECK_LIMIT = 3000;

/** The checks of the section. @param recipe how drivers are had, for tests */
export function jobsChecks(
  config: Config,
  { machine, state_dir }: CheckHost,
  recipe: (driver: PipelineConfig["driver"]) => Promise<DriverRecipe> = recipeOf,
): Check[] {
  const pipelines = Object.entries(jobsOf(config)?.pipelines ?? {});
  if (pipelines.length === 0) return [];
  // Nobody is told of what a question comes across.
  const host: DriverHost = { system: machine, clock: machine.clock, state_dir, emit() {} };
  const ask = async ([name, settings]: [string, PipelineConfig]): Promise<Finding> => {
    const at = `jobs.pipelines.${name} (${settings.driver})`;
    try {
      return await asked(at, await recipe(settings.driver), settings, host);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return fail(`${at}: ${error.message}`, error.fix);
    }
  };
  const run = async () => {
    const findings = await Promise.all(pipelines.map(ask));
    return together(findings, pipelines.map(([name]) => name).join(", "));
  };
  return [{ id: "pipelines", title: "pipelines of jobs", run }];
}

async function asked(
  at: string,
  recipe: DriverRecipe,
  settings: PipelineConfig,
  host: DriverHost,
): Promise<Finding> {
  if (recipe.check === undefined) return ok(at);
  const late = new AbortController();
  const answer = recipe.check(settings, host, late.signal);
  const { done } = await within(host.clock, CHECK_LIMIT, answer);
  if (done) return ok(at);
  const waited = formatDuration(CHECK_LIMIT);
  const sentence = `${at}: no answer within ${waited}`;
  late.abort(new Failure(sentence));
  return fail(sentence, "see whether its broker runs, and whether this machine reaches it");
}
