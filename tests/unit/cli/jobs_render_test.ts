/** Pipelines, to the letter. */

import { assertEquals } from "@std/assert";
import { pipelinesText } from "../../../lib/cli/render/jobs.ts";
import { plain } from "../../../lib/cli/render/paint.ts";
import { MAIL } from "../control/kit.ts";

const NOW = Date.UTC(2030, 0, 1, 12);

Deno.test("jobs list: what is not known is never 0, what is wrong is told, schedules follow", () => {
  const far = { ...MAIL, waiting: null, delayed: null, reserved: null, dead: null };
  const text = pipelinesText(
    {
      pipelines: [
        { ...MAIL, waiting: 3, declared: true },
        {
          ...far,
          pipeline: "far\nline",
          driver: "redis",
          ready: false,
          consuming: false,
          error: "refused\x1b[2J",
          next_try_at: "2030-01-01T12:00:04.000Z",
        },
        { ...far, pipeline: "mute", error: "it did not say" },
      ],
      schedules: [{
        schedule: "nightly",
        cron: "0 3 * * *",
        pipeline: "mail",
        job: "App\\Report",
        next_run_at: "2030-01-02T03:00:00.000Z",
        last_run_at: "2030-01-01T03:00:00.000Z",
      }],
    },
    NOW,
    plain,
  );
  assertEquals(text.split("\n"), [
    "PIPELINE     DRIVER  POOL  STATE       WAITING  DELAYED  RUNNING  DEAD  NOTE",
    "mail         memory  jobs  consuming         3        0        0     0  declared by a client",
    "far\\x0aline  redis   jobs  connecting        ?        ?        0     ?  refused\\x1b[2J; next try at 2030-01-01T12:00:04.000Z; paused",
    "mute         memory  jobs  consuming         ?        ?        0     ?  it did not say",
    "",
    "SCHEDULE  CRON       PIPELINE  JOB           NEXT    LAST",
    "nightly   0 3 * * *  mail      App\\Report  in 15h  9h ago",
    "",
  ]);
});
