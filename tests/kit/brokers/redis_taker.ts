/**
 * A daemon's driver that takes jobs and is then killed: says how many it has, and settles none.
 * Arguments: port, milliseconds of visibility, how many.
 */

import { takeAll } from "../../unit/plugins/jobs/conformance/kit.ts";
import { RedisDaemon, redisSettings } from "./redis_daemon.ts";

const [port, visibility_timeout, count] = Deno.args.map(Number);
await using daemon = new RedisDaemon(port);
const driver = await daemon.open(redisSettings({ visibility_timeout }));
const taken = await takeAll(driver, count);
console.log(taken.length);
await new Promise(() => setInterval(() => {}, 1000));
