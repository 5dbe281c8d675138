/**
 * What `doctor` asks of pipelines: whether each could be opened now, as its driver says.
 *
 * Invariant: all are asked side by side, each for CHECK_LIMIT at most; a driver without a question of
 * its own needs nothing from outside.
 */

import type { Config } from "../../lib/config/config.ts";
import { jobsOf } from "../../lib/config/roadrunner/of.ts";
import type { DriverName, PipelineConfig } from "../../lib/config/roadrunner/jobs.ts";
import { type Check, fail, together } from "../../lib/core/check.ts";
import { within } from "../../lib/core/clock.ts";
import { formatDuration } from "../../lib/core/duration.ts";
import { Failure } from "../../lib/core/failure.ts";
import type { CheckHost } from "../plugin.ts";
import type { DriverHost, DriverRecipe } from "./driver.ts";
import { recipeOf } from "./drivers.ts";

/** How long a broker may take to answer, ms. */
export const CHECK_LIMIT = 3000;

/** How drivers are had. */
type Recipes = (driver: DriverName) => Promise<DriverRecipe>;

/** One driver's word on some pipelines. */
interface Complaint {
  driver: DriverName;
  pipelines: string[];
  message: string;
  fix?: string;
}

/** The checks of the section. @param recipes for tests */
export function jobsChecks(
  config: Config,
  { machine, state_dir }: CheckHost,
  recipes: Recipes = recipeOf,
): Check[] {
  const jobs = jobsOf(config);
  const pipelines = Object.entries(jobs?.pipelines ?? {});
  if (jobs === undefined || pipelines.length === 0) return [];
  // Nobody is told of what a question comes across.
  const host: DriverHost = { system: machine, clock: machine.clock, state_dir, emit() {} };
  const run = async () => {
    const answers = await Promise.all(
      pipelines.map(([, settings]) => ask(settings, jobs.brokers[settings.driver], host, recipes)),
    );
    // A broker that is not there is not there for all pipelines: one sentence, not one for each.
    const complaints = new Map<string, Complaint>();
    for (const [i, [name, { driver }]] of pipelines.entries()) {
      const { message, fix } = answers[i] ?? {};
      if (message === undefined) continue;
      const key = `${driver} ${message}`;
      const known = complaints.get(key)?.pipelines ?? [];
      complaints.set(key, { driver, pipelines: [...known, name], message, fix });
    }
    const findings = [...complaints.values()].map(({ driver, pipelines, message, fix }) =>
      fail(`${pipelines.join(", ")} (${driver}): ${message}`, fix)
    );
    return together(findings, pipelines.map(([name]) => name).join(", "));
  };
  return [{ id: "pipelines", title: "pipelines of jobs", run }];
}

/** Why a pipeline could not be opened. */
async function ask(
  settings: PipelineConfig,
  broker: unknown,
  host: DriverHost,
  recipes: Recipes,
): Promise<Failure | undefined> {
  const late = new AbortController();
  try {
    const recipe = await recipes(settings.driver);
    const answer = recipe.check?.(settings, broker, host, late.signal);
    if (answer === undefined) return undefined;
    if ((await within(host.clock, CHECK_LIMIT, answer)).done) return undefined;
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  const failure = new Failure(`no answer within ${formatDuration(CHECK_LIMIT)}`, {
    fix: "see whether the broker runs, and whether this machine reaches it",
  });
  late.abort(failure);
  return failure;
}
