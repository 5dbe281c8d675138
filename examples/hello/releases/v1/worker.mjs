/** Release v1 of the example. */

import { work } from "../../app/worker.mjs";

work("v1");
