/** The driver sqlite: what every driver does, and what only it does. */

import { CAN } from "../../../../plugins/jobs/sqlite/driver.ts";
import { conformance } from "./conformance/suite.ts";
import { SqliteBench } from "./sqlite_kit.ts";

conformance({ name: "sqlite", can: CAN, bench: () => new SqliteBench() });
