/** Release v1 of the example. */

import { serve } from "../../app/server.mjs";

serve("v1");
