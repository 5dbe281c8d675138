/**
 * A daemon's driver that takes jobs and is then killed: says how many it has, and settles none.
 * Arguments: address, stream, subject, how long the server waits for it in ms, how many.
 */

import { NatsBench } from "./nats_bench.ts";
import { takeAll } from "../../unit/plugins/jobs/conformance/kit.ts";

const [address, stream, subject, ack_wait, count] = Deno.args;
await using bench = new NatsBench(address);
const config = bench.config("", { stream, subject, ack_wait: Number(ack_wait) });
const driver = await bench.open("default", { config });
const taken = await takeAll(driver, Number(count));
console.log(taken.length);
await new Promise(() => setInterval(() => {}, 1000));
