/** Configurations with worker pools, as if read from a file. */

import type { Config } from "../../../lib/config/config.ts";
import * as defaults from "../../../lib/config/defaults.ts";
import type { HttpConfig } from "../../../lib/config/roadrunner/http.ts";
import type { PoolSettings } from "../../../lib/config/roadrunner/pool.ts";
import type { ServerConfig } from "../../../lib/config/roadrunner/server.ts";
import { UpstreamSet } from "../../../lib/http/mod.ts";
import type { ReleaseContext } from "../../../lib/release/intake.ts";
import type { Surroundings } from "../../../lib/release/render.ts";
import { configOf } from "./configs.ts";

/** Two workers, every default. */
export function poolOf(more: Partial<PoolSettings> = {}): PoolSettings {
  const { max_surge: _, ...pool } = defaults.POOL;
  return { ...pool, num_workers: 2, max_surge: 1, ...more };
}

/** `server` with `php worker.php`. */
export function serverOf(more: Partial<ServerConfig> = {}): ServerConfig {
  return { command: "php worker.php", relay: "pipes", env: {}, ...more };
}

/** A configuration with one http pool and no processes. */
export function workersConfig(
  server: Partial<ServerConfig> = {},
  pool: Partial<HttpConfig["pool"]> = {},
  more: Partial<Config> = {},
): Config {
  const http = { pool: { ...poolOf(), ...pool }, drain_timeout: 1_000 };
  return configOf([], {
    proxy: undefined,
    sections: { server: serverOf(server), http },
    ...more,
  });
}

/** A release of a configuration. */
export function releaseOf(config: Config, release_id = "v1"): ReleaseContext {
  const release_path = `/srv/${release_id}`;
  return {
    release_id,
    release_path,
    revision: "abc",
    config,
    ports: new Map(),
    upstreams: new UpstreamSet(release_id),
    hopeful: false,
    onReadiness: undefined,
  };
}

/** What templates of such a release see. */
export function aroundOf(config: Config, env: Record<string, string> = {}): Surroundings {
  const release = releaseOf(config);
  return { config, release, env: { PATH: "/bin", ...env }, ports: new Map([["web", 20_000]]) };
}
