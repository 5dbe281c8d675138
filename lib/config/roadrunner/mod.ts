/** RoadRunner's sections: what the core reads of them, by name. */
import type { SectionSchema } from "../sections.ts";
import { brokerSections } from "./drivers/mod.ts";
import { logsSection } from "./logs.ts";
import { metricsSection } from "./metrics.ts";
import { rpcSection } from "./rpc.ts";
import { serverSection } from "./server.ts";
import { serviceSection } from "./service.ts";
import { statusSection } from "./status.ts";

export { httpSection } from "./http_section.ts";
export { DRIVERS } from "./drivers/mod.ts";
export { DEFAULT_POOL, jobsSection } from "./jobs_section.ts";
export { readDeclaration } from "./jobs_pipeline.ts";
export { type LogPlace, logSettings } from "./log_settings.ts";
export { logsSection } from "./logs.ts";
export { metricsSection } from "./metrics.ts";
export { rpcSection } from "./rpc.ts";
export { serverSection } from "./server.ts";
export { serviceSection } from "./service.ts";
export { statusSection } from "./status.ts";
export { tcpSection } from "./tcp.ts";
export { httpOf, jobsOf, logsOf, metricsOf, rpcOf, serverOf, statusOf, tcpOf } from "./of.ts";

/** The sections that no plugin reads. */
export const coreSections: readonly (readonly [string, SectionSchema])[] = [
  ["server", serverSection],
  ["rpc", rpcSection],
  ["status", statusSection],
  ["metrics", metricsSection],
  ["logs", logsSection],
  ["service", serviceSection],
  ...brokerSections,
];
