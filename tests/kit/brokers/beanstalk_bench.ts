/** Places at a beanstalkd for the jobs of one test: each bench has tubes of its own. */

import { JOB_DRIVERS } from "../../../lib/config/defaults.ts";
import type {
  BeanstalkBroker,
  BeanstalkConfig,
} from "../../../lib/config/roadrunner/drivers/beanstalk.ts";
import { beanstalk } from "../../../plugins/jobs/beanstalk/recipe.ts";
import { DriverBench } from "./bench.ts";

const { broker: PRESET, prefetch, reserve_timeout } = JOB_DRIVERS.beanstalk;

let made = 0;

/** See the file's comment. */
export class BeanstalkBench extends DriverBench<BeanstalkBroker, BeanstalkConfig> {
  constructor(port: number, more: Partial<BeanstalkBroker> = {}) {
    const own = `bench-${++made}`;
    super({
      recipe: beanstalk,
      broker: { ...PRESET, addr: { host: "127.0.0.1", port }, ...more },
      prefetch,
      config(pipeline, more) {
        const tube = `${own}.${new TextEncoder().encode(pipeline).toHex()}`;
        return { tube, reserve_timeout, ...more };
      },
    });
  }
}
