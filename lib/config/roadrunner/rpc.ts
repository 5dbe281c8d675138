/**
 * The `rpc` section of RoadRunner: where PHP clients call us.
 *
 * Invariant: types and schema; a value of this type came out of the schema complete.
 */

/** `rpc`, checked and complete. */
export interface RpcConfig {
  /** As PHP gets it in RR_RPC: `tcp://127.0.0.1:6001`, `unix:///run/rpc.sock`. */
  listen: string;
}
