/**
 * The `rpc` section of RoadRunner: where PHP clients call us.
 *
 * Invariant: types and schema; a value of this type came out of the schema complete.
 */

import type * as z from "zod";
import { RPC } from "../defaults.ts";
import { read, section } from "../schema/fields.ts";
import type { SectionSchema } from "../sections.ts";
import { absoluteDsn, readDsn } from "./fields.ts";

/** `rpc`, checked and complete. */
export interface RpcConfig {
  /** As PHP gets it in RR_RPC: `tcp://127.0.0.1:6001`, `unix:///run/rpc.sock`. */
  listen: string;
}

const schema = section("Where workers call the daemon (RoadRunner).", {
  listen: read(
    "tcp:// or unix:// address",
    readDsn,
    "Address: `tcp://host:port`, or `unix://path`, which only the workers' user can reach.",
    { default: RPC.listen },
  ).optional(),
});

/** The section `rpc`. */
export const rpcSection: SectionSchema = {
  schema,
  roadrunner: true,
  complete(value, place): RpcConfig {
    const { listen = RPC.listen } = value as z.output<typeof schema>;
    return { listen: absoluteDsn(listen, (path) => place.absolute(path, ["listen"])) };
  },
  compare(old, next) {
    const was = (old as RpcConfig | undefined)?.listen;
    const is = (next as RpcConfig | undefined)?.listen;
    if (was === is) return [];
    // Workers that run know the old address.
    const reason = "workers get the address as RR_RPC";
    return [
      { field: "rpc.listen", effect: "listener" },
      { field: "rpc.listen", effect: "generation", reason },
    ];
  },
};
