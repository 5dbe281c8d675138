/** The smallest worker of jobs on the kit: every job is done at once. */
import { jobs } from "../../../worker/mod.ts";

await jobs(() => {});
