/**
 * From a supervisord.conf to ours, with the files it includes.
 *
 * Invariant: every line becomes part of a process or a note with file and number; nothing is run and
 * no file is read but the one named and those its `[include]` names.
 */

import { basename, dirname } from "@std/path";
import { readText } from "../file.ts";
import type { Draught } from "./draft.ts";
import { quote } from "./draft.ts";
import { notOf } from "./foreign.ts";
import { filesMatching } from "./glob.ts";
import { type Ini, parseIni, type Section } from "./ini.ts";
import { program } from "./supervisord_program.ts";

/** Included files that are read. */
const MAX_FILES = 100;

/** Sections that are about supervisord itself. */
const OWN: Record<string, string> = {
  supervisord: "the daemon's own settings have no counterpart; see supervisor help serve",
  supervisorctl: "commands find the daemon by its configuration; see `control`",
  unix_http_server: "the control socket is `control.socket`",
  inet_http_server: "there is no control over TCP; use ssh, or the socket",
};

/** Kinds of sections that are not carried over. */
const KINDS: Record<string, string> = {
  group: "there are no groups; restart and logs take one process or a policy",
  eventlistener: "event listeners are not run; see supervisor events --follow --json",
  "fcgi-program": "FastCGI is not served; run its own server as a program",
  rpcinterface: "is not carried over",
};

/** A file's sections and how its lines are called. */
interface Part {
  ini: Ini;
  at: (line: number) => string;
}

export function fromSupervisord(text: string, file: string, draught: Draught): void {
  const dir = dirname(file);
  const main: Part = { ini: parseIni(text), at: (line) => `line ${line}` };
  const parts = [main, ...included(main, dir, draught)];
  let programs = 0;
  for (const { ini, at } of parts) {
    for (const { line, text } of ini.strange) {
      draught.note([], at(line), `is no setting of a section, left out: ${quote(text)}`);
    }
    for (const section of ini.sections) {
      const [kind, name] = section.name.split(/:(.*)/s);
      if (kind === "program" && name) {
        programs++;
        program({ name, section, dir, at }, draught);
      } else if (section.name !== "include") tell(section, at, draught);
    }
  }
  if (programs === 0) throw notOf(file, "a supervisord.conf", "it has no [program:NAME]");
  draught.note(
    [],
    undefined,
    "every program is a companion: it runs once per release, and two releases overlap during a " +
      "deploy. What must never run twice is `policy: singleton`; what shall outlive releases is " +
      "`policy: service`",
  );
  draught.note(
    [],
    undefined,
    "supervisord leaves a program alone that ends with exit code 0 (autorestart=unexpected); here " +
      "every exit that nobody asked for is followed by a restart",
  );
}

function tell({ name, line, entries }: Section, at: Part["at"], draught: Draught): void {
  const why = OWN[name] ?? KINDS[name.split(":")[0]] ?? "this section is not known";
  draught.note([], at(line), `[${name}]: ${why}`);
  for (const entry of entries) draught.note([], at(entry.line), `[${name}] ${entry.key}: left out`);
}

function included(main: Part, dir: string, draught: Draught): Part[] {
  const entries = main.ini.sections.filter(({ name }) => name === "include")
    .flatMap(({ entries }) => entries);
  const parts: Part[] = [];
  for (const { key, value, line } of entries) {
    if (key !== "files") {
      draught.note([], main.at(line), `[include] ${key}: left out`);
      continue;
    }
    for (const pattern of value.replaceAll("%(here)s", dir).split(/\s+/)) {
      const files = filesMatching(pattern, dir);
      if (files.length === 0) draught.note([], main.at(line), `no file is there for ${pattern}`);
      for (const path of files) {
        if (parts.length === MAX_FILES) {
          draught.note([], main.at(line), `more than ${MAX_FILES} files; ${path} is left out`);
          return parts;
        }
        const read = readText(path);
        if ("source" in read) {
          const name = basename(path);
          parts.push({ ini: parseIni(read.source.text), at: (line) => `${name}:${line}` });
        } else draught.note([], main.at(line), `${path} is left out: ${read.message}`);
      }
    }
  }
  return parts;
}
