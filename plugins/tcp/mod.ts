/** Public face of the tcp plugin. */

import { tcpSection } from "../../lib/config/roadrunner/mod.ts";
import type { Plugin } from "../plugin.ts";
import { tcpChecks } from "./checks.ts";
import { compareTcp } from "./compare.ts";
import { TcpIntake } from "./intake.ts";
import { tcpTable } from "./rpc.ts";

/** TCP connections for worker pools. */
export const tcp: Plugin = {
  name: "tcp",
  section: { ...tcpSection, compare: compareTcp },
  create: (host) => new TcpIntake(host),
  checks: tcpChecks,
  rpc: (intake) => tcpTable(intake as TcpIntake),
};
