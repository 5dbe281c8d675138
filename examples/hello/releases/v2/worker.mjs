/** Release v2 of the example. */

import { work } from "../../app/worker.mjs";

work("v2");
