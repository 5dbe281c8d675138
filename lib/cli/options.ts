/**
 * Options every command takes.
 *
 * Invariant: they mean the same everywhere and may stand before or after the command.
 */

import type { Option } from "./command.ts";

export const GLOBAL_OPTIONS: readonly Option[] = [
  {
    name: "config",
    short: "c",
    kind: "path",
    value: "FILE",
    about: "configuration file (default: supervisor.yaml, else .rr.yaml)",
  },
  {
    name: "socket",
    kind: "path",
    value: "PATH",
    about: "control socket of the daemon; the configuration is not read then",
  },
  { name: "json", kind: "flag", about: "one JSON document on one line; streams: one a line" },
  {
    name: "override",
    short: "o",
    kind: "list",
    value: "KEY=VALUE",
    about: "overrides one key of the configuration; may be repeated",
  },
  { name: "dotenv", kind: "path", value: "FILE", about: "more environment variables" },
  { name: "workdir", short: "w", kind: "path", value: "DIR", about: "go there first" },
  { name: "help", short: "h", kind: "flag", about: "this help" },
  { name: "version", short: "V", kind: "flag", about: "the version" },
];
