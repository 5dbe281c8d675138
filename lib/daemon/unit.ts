/**
 * The systemd unit of a configuration.
 *
 * Invariant: pure; the manager waits longer than the daemon itself ever does, so it never kills what is
 * being stopped in order; and it makes exactly the directories that the daemon uses.
 */

import type { Config } from "../config/config.ts";
import { startBudget, stopBudget } from "./budget.ts";
import type { Paths } from "./paths.ts";

/** Seconds beyond what the daemon allows itself; it asks for as much (service_manager.ts). */
const MARGIN = 30;

/** systemd's own default, below which nothing is gained. */
const LEAST = 90;

/** Seconds without a sign of life after which the daemon counts as hung. */
const WATCHDOG = 30;

/** The lowest port that everybody may listen on. */
const FREE_PORTS = 1024;

/** What root's daemon does with root's rights, for each capability. */
const CAPABILITIES = [
  "CAP_SETUID", // `user`
  "CAP_SETGID",
  "CAP_CHOWN", // `control.owner`, output files
  "CAP_FOWNER",
  "CAP_DAC_OVERRIDE",
  "CAP_KILL", // programs of other users
  "CAP_SYS_PTRACE", // whose socket answers a health check
  "CAP_SYS_RESOURCE", // limits of programs
  "CAP_NET_BIND_SERVICE",
];

/** What is in the unit besides the configuration. */
export interface UnitRequest {
  config: Config;
  paths: Paths;
  /** The daemon's command line. */
  argv: readonly string[];
  /** Who it runs as; undefined: root. */
  user: string | undefined;
}

/** The name under which it is installed. */
export function unitName(config: Config): string {
  return `supervisor-${config.application}.service`;
}

export function unitOf(request: UnitRequest): string {
  const { config, argv, user } = request;
  const lines = [
    `# ${unitName(config)}: made by supervisor systemd from ${oneLine(config.file)}.`,
    "# Its timeouts follow from that file: make it again when drain or stop times change.",
    "",
    "[Unit]",
    `Description=${escaped(config.application)} under supervisor`,
    "Wants=network-online.target",
    "After=network-online.target",
    "StartLimitIntervalSec=60",
    "StartLimitBurst=10",
    "",
    "[Service]",
    "Type=notify",
    "NotifyAccess=main",
    `ExecStart=${argv.map(word).join(" ")}`,
    "ExecReload=/bin/kill -HUP $MAINPID",
    `WorkingDirectory=${escaped(config.dir)}`,
    ...(user === undefined ? [] : [`User=${escaped(user)}`]),
    "",
    "# The daemon stops everything in order; only then does systemd take what is left.",
    "KillMode=mixed",
    "KillSignal=SIGTERM",
    `TimeoutStartSec=${seconds(startBudget(config))}`,
    `TimeoutStopSec=${seconds(stopBudget(config))}`,
    `WatchdogSec=${WATCHDOG}`,
    "Restart=on-failure",
    "RestartSec=2",
    "# Wrong usage, an invalid configuration, a daemon that runs already: trying again changes nothing.",
    "RestartPreventExitStatus=2 3 5",
    "# A program that runs out of memory is restarted by the daemon; the others go on.",
    "OOMPolicy=continue",
    "LimitNOFILE=65536",
    "",
    ...directories(request),
    ...hardening(request),
    "",
    "[Install]",
    "WantedBy=multi-user.target",
  ];
  return `${lines.join("\n")}\n`;
}

function seconds(ms: number): number {
  return Math.max(LEAST, Math.ceil(ms / 1000) + MARGIN);
}

/** Directories that systemd makes before the start, with the mode the daemon gives them. */
function directories({ paths }: UnitRequest): string[] {
  const lines: string[] = [];
  const make = (kind: string, root: string, dir: string) => {
    if (!dir.startsWith(`${root}/`)) return;
    lines.push(`${kind}Directory=${word(dir.slice(root.length + 1))}`, `${kind}DirectoryMode=0700`);
  };
  make("Runtime", "/run", paths.runtime_dir);
  if (lines.length > 0) lines.push("RuntimeDirectoryPreserve=restart");
  make("State", "/var/lib", paths.state_dir);
  if (!paths.log_dir.startsWith(`${paths.state_dir}/`)) make("Logs", "/var/log", paths.log_dir);
  return lines.length === 0 ? [] : [...lines, ""];
}

function hardening({ config, paths, user }: UnitRequest): string[] {
  return [
    "# Holds for every program that the daemon runs, too. Stricter, where they allow it:",
    "#   ProtectHome=yes          neither the configuration nor a release is below /home or /root",
    "#   ProtectSystem=strict     with ReadWritePaths= for whatever they write",
    "#   RestrictNamespaces=yes   none of them makes a sandbox of its own (browsers do)",
    "NoNewPrivileges=yes",
    "ProtectSystem=full",
    ...writable(paths),
    "PrivateTmp=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "LockPersonality=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "SystemCallArchitectures=native",
    ...capabilities(config, user),
  ];
}

/** What the daemon writes below directories that ProtectSystem=full makes read-only. */
function writable(paths: Paths): string[] {
  const closed = [paths.runtime_dir, paths.state_dir, paths.log_dir]
    .filter((dir) => /^\/(?:usr|boot|efi|etc)\//.test(dir));
  return [...new Set(closed)].map((dir) => `ReadWritePaths=${word(dir)}`);
}

function capabilities(config: Config, user: string | undefined): string[] {
  if (user === undefined) return [`CapabilityBoundingSet=${CAPABILITIES.join(" ")}`];
  const low = portsOf(config).some((port) => port > 0 && port < FREE_PORTS);
  if (!low) return ["CapabilityBoundingSet="];
  return [
    "CapabilityBoundingSet=CAP_NET_BIND_SERVICE",
    "AmbientCapabilities=CAP_NET_BIND_SERVICE",
  ];
}

/** Every port the configuration names. */
function portsOf({ proxy, processes, sections }: Config): number[] {
  const own = processes.flatMap(({ port }) => port === undefined ? [] : [port.from]);
  return [...(proxy === undefined ? [] : [proxy.address.port]), ...own, ...portsIn(sections)];
}

function portsIn(value: unknown): number[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    key === "port" && typeof inner === "number" ? [inner] : portsIn(inner)
  );
}

/** A text in a setting: `%` begins a specifier there. */
function escaped(text: string): string {
  return oneLine(text).replaceAll("%", "%%");
}

/** A word of a command line or a list. */
function word(text: string): string {
  const inside = escaped(text).replaceAll("$", "$$$$").replace(/["\\]/g, "\\$&");
  return /^[\w@%+=:,./$-]+$/.test(inside) ? inside : `"${inside}"`;
}

function oneLine(text: string): string {
  return text.replace(/\s/g, " ");
}
