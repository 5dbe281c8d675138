/**
 * A daemon's driver that takes jobs and then stands still or is killed: says how many it has, and how
 * it is connected from then on; after a byte of input it acknowledges them, and says how many it could
 * not. Arguments: port, tube, time-to-run in ms, how many.
 */

import { takeAll } from "../../unit/plugins/jobs/conformance/kit.ts";
import { BeanstalkBench } from "./beanstalk_bench.ts";

const [port, tube, timeout, count] = Deno.args;
await using bench = new BeanstalkBench(Number(port), { timeout: Number(timeout) });
const driver = await bench.open("default", { config: bench.config("", { tube }) });
const taken = await takeAll(driver, Number(count));
console.log(`has ${taken.length}`);
driver.onState = () => console.log(driver.state.state);
await Deno.stdin.read(new Uint8Array(1));
await Promise.all(taken.map((one) => driver.settle(one, { kind: "ack" })));
const lost = bench.told.filter(([name]) => name === "job_unsettled").length;
console.log(`lost ${lost}`);
