/** Limits and time-outs of the `http` section as fronts take them. */

import type { HttpConfig } from "../../lib/config/roadrunner/http.ts";
import type { FrontOptions } from "../../lib/http/mod.ts";

/** Bodies are limited where they are read: their refusal has RoadRunner's words. */
export function frontOptions({ timeouts, limits }: HttpConfig): FrontOptions {
  return { timeouts, limits: { ...limits, body: 0 } };
}
