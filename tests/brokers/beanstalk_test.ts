/** The driver beanstalk against a real beanstalkd: what every driver does. */

import { CAN } from "../../plugins/jobs/beanstalk/driver.ts";
import { beanstalkd } from "../kit/brokers/beanstalk.ts";
import { BeanstalkBench } from "../kit/brokers/beanstalk_bench.ts";
import { BrokerServer } from "../kit/brokers/server.ts";
import { conformance } from "../unit/plugins/jobs/conformance/suite.ts";

/** A file of the log holds a job of 50 MB; and the disk is not what is tested here. */
const LARGE = ["-z", "1073741824", "-s", "104857600", "-F"];
const server = await BrokerServer.start(beanstalkd(...LARGE));
Deno.test.afterAll(() => server[Symbol.asyncDispose]());

conformance({
  name: "beanstalk",
  can: CAN,
  second: 1000,
  bench: () => new BeanstalkBench(server.port),
});
