/**
 * From a Procfile to ours: `NAME: COMMAND` a line.
 *
 * Invariant: every line becomes a process, or a note with its number.
 */

import type { Draft, Draught } from "./draft.ts";
import { quote } from "./draft.ts";
import { notOf } from "./foreign.ts";
import { PORT, proxied, tellProxied } from "./web.ts";

const LINE = /^([A-Za-z0-9_-]+):\s*(\S.*)$/;

/** The program that gets the requests. */
const WEB = "web";
/** Heroku's: run once before a release goes live. */
const RELEASE = "release";

export function fromProcfile(text: string, file: string, draught: Draught): void {
  let found = 0;
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    const from = `line ${index + 1}`;
    if (line === "" || line.startsWith("#")) continue;
    const match = LINE.exec(line);
    if (match === null) {
      draught.note([], from, `is not NAME: COMMAND, left out: ${quote(line)}`);
      continue;
    }
    found++;
    addLine(match[1], match[2], from, draught);
  }
  if (found === 0) throw notOf(file, "a Procfile", "no line has the form NAME: COMMAND");
  draught.note([], undefined, "a `.env` beside the Procfile is read with --dotenv .env");
}

function addLine(name: string, command: string, from: string, draught: Draught): void {
  if (name === RELEASE) {
    const text = `runs once before a release; call it before supervisor deploy: ${quote(command)}`;
    draught.note([], from, text);
    return;
  }
  const id = draught.id(name, from);
  const draft: Draft = { command: draught.text(command, ["processes", id], from) };
  if (name === WEB) {
    draught.process(id, proxied({ ...draft, env: { PORT } }));
    tellProxied(draught, id, from);
  } else if (/\$\{?PORT\b/.test(command)) {
    draught.process(id, { ...draft, port: 0, env: { PORT } });
  } else draught.process(id, draft);
}
