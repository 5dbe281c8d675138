/** Completion in real bash, zsh and fish: commands, options, and names that a running daemon has. */

import { assertEquals } from "@std/assert";
import { COMMANDS } from "../../lib/cli/table.ts";
import { namesOf } from "../../lib/cli/command.ts";
import { Completing, type Shell } from "../kit/completing.ts";
import { type Daemon, daemonTest, supervisor } from "../kit/daemon.ts";
import { program } from "../kit/programs.ts";
import { JOB_WORKER, jobs } from "../kit/jobs.ts";
import { deployWorkers, WORKER, workers } from "../kit/workers.ts";

const SHELLS: Shell[] = ["bash", "zsh", "fish"];

const SLEEPER = { command: program("worker.sh", "sleeper") };

async function loaded(d: Daemon, shell: Shell): Promise<Completing> {
  const { stdout } = await d.ok("completion", shell);
  return new Completing(shell, d.dir, supervisor(), stdout);
}

/** Lines, and what is offered behind each without any daemon. */
const LINES: [line: string, offers: string[]][] = [
  ["supervisor ", namesOf(COMMANDS).toSorted()],
  ["supervisor sy", ["systemd"]],
  ["supervisor help depl", ["deploy"]],
  ["supervisor serve --rel", ["--release-id", "--release-path"]],
  ["supervisor -c supervisor.yaml restart --pol", ["--policy"]],
  ["supervisor restart --json --pol", ["--policy"]],
  ["supervisor jobs pu", ["push"]],
  ["supervisor restart --policy s", ["service", "singleton"]],
  ["supervisor completion ", ["bash", "fish", "zsh"]],
  ["supervisor restart --process ", []],
];

for (const shell of SHELLS) {
  daemonTest(`${shell} offers commands, options and their values, with no daemon`, {
    config: { processes: { mail: SLEEPER } },
    start: false,
  }, async (d) => {
    const completing = await loaded(d, shell);
    for (const [line, offers] of LINES) {
      assertEquals(await completing.offers(line), offers, line);
    }
  });

  daemonTest(`${shell} offers what a running daemon has`, {
    config: (place) => ({
      ...workers()(place),
      processes: {
        mail: { ...SLEEPER, replicas: 2 },
        cache: { ...SLEEPER, policy: "service" },
      },
    }),
    files: WORKER,
  }, async (d) => {
    await deployWorkers(d, "v1");
    const completing = await loaded(d, shell);
    const where = `--socket ${d.socket}`;
    const offers = (line: string) => completing.offers(line);
    const processes = ["cache", "mail", "mail#0", "mail#1"];

    assertEquals(await offers("supervisor restart --process "), processes);
    assertEquals(await offers("supervisor logs --process mail#"), ["mail#0", "mail#1"]);
    assertEquals(await offers("supervisor reset "), ["http"]);
    assertEquals(await offers("supervisor stop --release-id "), ["v1"]);
    assertEquals(await offers("supervisor explain v"), ["v1"]);
    assertEquals(await offers("supervisor scale ht"), ["http"]);

    // Where the daemon is may be said on the line itself, before the command or behind it.
    d.configure({ application: "another", control: { socket: d.path("other.sock") } });
    assertEquals(await offers("supervisor restart --process "), []);
    assertEquals(await offers(`supervisor ${where} restart --process ca`), ["cache"]);
    assertEquals(await offers(`supervisor restart ${where} --process ca`), ["cache"]);
    assertEquals(await offers(`supervisor --socket=${d.socket} scale ca`), ["cache"]);
  });

  daemonTest(`${shell} offers the pipelines of a running daemon`, {
    config: jobs({ pipelines: { mail: { driver: "memory" }, "App.Mail": { driver: "memory" } } }),
    files: JOB_WORKER,
  }, async (d) => {
    const completing = await loaded(d, shell);
    assertEquals(await completing.offers("supervisor jobs stat "), ["App.Mail", "mail"]);
    assertEquals(await completing.offers("supervisor jobs push m"), ["mail"]);
    assertEquals(await completing.offers("supervisor jobs --json retry A"), ["App.Mail"]);
    assertEquals(await completing.offers("supervisor explain A"), ["App.Mail"]);
  });
}
