/** A jobs worker on the kit: does what the job's name says; see jobs_test.ts. */

import { jobs, ReplaceWorker } from "../../../../worker/mod.ts";

jobs(async (job) => {
  switch (job.name) {
    case "show":
      console.error(JSON.stringify({ ...job, payload: job.json() }));
      break;
    case "ack":
      job.ack();
      break;
    case "nack":
      job.nack("not now", { requeue: true, delay: 3 });
      break;
    case "requeue":
      job.requeue("later", { delay: 5, headers: { attempts: "2", tags: ["a", "b"] } });
      break;
    case "twice":
      job.ack();
      job.nack();
      break;
    case "throw":
      await Promise.reject(new Error("it failed"));
      break;
    case "fraction":
      job.nack("", { delay: 0.5 });
      break;
    case "replace":
      throw new ReplaceWorker();
  }
});
