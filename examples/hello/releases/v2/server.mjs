/** Release v2 of the example. */

import { serve } from "../../app/server.mjs";

serve("v2");
