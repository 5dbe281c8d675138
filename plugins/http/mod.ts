/** Public face of the http plugin. */

import { httpSection } from "../../lib/config/roadrunner/mod.ts";
import type { Plugin } from "../plugin.ts";
import { httpChecks } from "./checks.ts";
import { compareHttp } from "./compare.ts";
import { HttpIntake } from "./intake.ts";

/** HTTP requests for worker pools. */
export const http: Plugin = {
  name: "http",
  section: { ...httpSection, compare: compareHttp },
  create: (host) => new HttpIntake(host),
  checks: httpChecks,
};
