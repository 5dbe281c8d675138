/** `doctor`: what would make a start or a deploy fail here, before it does. */

import { resolve } from "@std/path";
import type { Checked } from "../../core/check.ts";
import { Exit } from "../../core/failure.ts";
import type { Command } from "../command.ts";
import { homeOf } from "../place.ts";
import { count } from "../render/amount.ts";
import { harmless, type Paint, type Style } from "../render/paint.ts";

const MARKS: Record<Checked["level"], [mark: string, style: Style]> = {
  ok: ["✓", "green"],
  advice: ["!", "yellow"],
  fail: ["✗", "red"],
};

export const doctor: Command = {
  name: "doctor",
  about: "check everything that a start or a deploy needs; changes nothing",
  options: [{
    name: "release-path",
    kind: "path",
    value: "DIR",
    about: "the release to look at (default: the live one, else the one that was live last)",
  }],
  exits: {
    [Exit.failed]: "a check failed: a start or a deploy would, too; advice alone is exit 0",
    [Exit.config]: "no configuration says where the daemon is",
  },
  examples: ["supervisor doctor", "supervisor doctor --release-path releases/v1 --json"],
  async run(call) {
    const { values, out, cwd } = call;
    const { paths, request } = homeOf(await call.place(), "to check it");
    const given = values.text("release-path");
    const release_path = given === undefined ? undefined : await realPath(resolve(cwd, given));
    const { examine } = await import("../../daemon/doctor/doctor.ts");
    const { sections } = await import("../../../plugins/registry.ts");
    const { realSystem } = await import("../../os/real.ts");
    const client = await call.client();
    const machine = realSystem();
    const checks: Checked[] = [];
    try {
      const examination = { request, sections: sections(), paths, client, machine, release_path };
      for await (const checked of examine(examination)) {
        checks.push(checked);
        if (!out.json) await out.data(line(checked, out.voice.paint));
      }
    } finally {
      machine[Symbol.dispose]();
    }
    const failed = checks.filter(({ level }) => level === "fail").length;
    const good = failed === 0;
    if (out.json) {
      await out.document({ status: good ? "success" : "error", ok: good, checks });
    } else if (good) await out.data(`\n${summary(checks)}\n`);
    else await out.complain(`\n${count(failed, "check")} failed\n`);
    return good ? Exit.done : Exit.failed;
  },
};

/** Programs see the real path; one that is not there is a finding, not an error. */
function realPath(path: string): Promise<string> {
  return Deno.realPath(path).catch(() => path);
}

function line({ level, title, detail, fix }: Checked, paint: Paint): string {
  const [mark, style] = MARKS[level];
  const text = detail.split("\n").map(harmless).join("\n    ");
  const told = `${paint(style, mark)} ${title}: ${text}\n`;
  return fix === undefined ? told : `${told}    ${paint("cyan", "fix:")} ${harmless(fix)}\n`;
}

function summary(checks: Checked[]): string {
  const advised = checks.filter(({ level }) => level === "advice").length;
  return advised === 0
    ? "all checks passed"
    : `nothing would fail; ${count(advised, "piece of advice", "pieces of advice")}`;
}
