/**
 * The address where PHP clients call us, as the configuration wants it.
 *
 * Invariant: it is open before the first worker starts, because workers are told it in RR_RPC, and
 * after the last one ended.
 */

import type { Config } from "../config/config.ts";
import { rpcOf } from "../config/roadrunner/mod.ts";
import { openRpc, type RpcServer } from "../goridge/rpc_server.ts";
import type { RpcTable } from "../goridge/rpc.ts";
import type { DoorOwner } from "../goridge/doors.ts";
import { workerIdentity } from "../release/identity.ts";
import type { Rebinding } from "../release/intake.ts";
import type { Addressed, Context } from "./context.ts";

/** How long calls in flight may take when the address is given up, ms. */
const LAST_CALLS = 5_000;

/** See the file's comment. */
export class RpcDoor implements Addressed {
  #server: RpcServer | undefined;
  /** What is served already and is going to be in use: the address, or none. */
  #coming: { address: string | undefined } | undefined;

  /** @param table asked once, when the address is first opened */
  constructor(
    readonly context: Pick<Context, "clock" | "emit" | "machine">,
    readonly table: () => RpcTable,
  ) {}

  /**
   * What RR_RPC says to workers of a release that is built now; undefined: there is no RPC server. It
   * goes live together with an address that is coming.
   */
  get address(): string | undefined {
    return (this.#coming ?? this.#server)?.address;
  }

  /** @throws Failure when the address cannot be bound */
  async start(config: Config): Promise<void> {
    this.#server = await this.#open(config);
  }

  async rebind(next: Config): Promise<Rebinding | undefined> {
    const rebinding = await this.#rebind(next);
    if (rebinding === undefined) return undefined;
    const { address, commit, undo } = rebinding;
    this.#coming = { address };
    const over = (what: () => void) => () => {
      this.#coming = undefined;
      what();
    };
    return { commit: over(commit), undo: over(undo) };
  }

  configure(): void {}

  async close(): Promise<void> {
    await this.#server?.close(LAST_CALLS);
  }

  async #rebind(next: Config): Promise<(Rebinding & { address?: string }) | undefined> {
    const old = this.#server;
    const rpc = rpcOf(next);
    if (old !== undefined && rpc !== undefined) {
      return await old.rebind(rpc.listen, this.#owner(next));
    }
    if (old === undefined && rpc === undefined) return undefined;
    const server = await this.#open(next);
    return {
      address: server?.address,
      commit: () => {
        this.#server = server;
        // Workers of the release before still call it, until they end.
        if (old !== undefined) void old.close(LAST_CALLS);
      },
      undo: () => void server?.close(0),
    };
  }

  async #open(config: Config): Promise<RpcServer | undefined> {
    const rpc = rpcOf(config);
    if (rpc === undefined) return undefined;
    const { clock, emit } = this.context;
    const owner = this.#owner(config);
    return await openRpc({ listen: rpc.listen, owner, table: this.table(), emit, clock });
  }

  #owner(config: Config): DoorOwner | undefined {
    return workerIdentity(config, "rpc", this.context.machine);
  }
}
