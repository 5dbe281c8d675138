/** The smallest worker on the kit: what hello.php is for PHP. */
import { serve } from "../../../worker/mod.ts";

serve(() => new Response("Hello, world!"));
