/** The driver beanstalk against a real beanstalkd: what every driver does. */

import { CAN } from "../../plugins/jobs/beanstalk/driver.ts";
import { beanstalkd } from "../kit/brokers/beanstalk.ts";
import { BeanstalkBench } from "../kit/brokers/beanstalk_bench.ts";
import { BrokerServer } from "../kit/brokers/server.ts";
import { conformance } from "../unit/plugins/jobs/conformance/suite.ts";

/** The disk is not what is tested here. */
const server = await BrokerServer.start(beanstalkd("-z", "1073741824", "-F"));
Deno.test.afterAll(() => server[Symbol.asyncDispose]());

conformance({
  name: "beanstalk",
  can: CAN,
  second: 1000,
  bench: () => new BeanstalkBench(server.port),
});
