/**
 * From a request to its answer: the method, or why there is none.
 *
 * Invariant: every request gets exactly one answer; nothing a method does gets out as an exception.
 */

import { Failure, messageOf } from "../core/failure.ts";
import type { Emit } from "../telemetry/events.ts";
import type { OutFrame } from "./relay.ts";
import { RpcError, type RpcMethod, type RpcTable } from "./rpc.ts";
import type { RpcRequest } from "./rpc_exchange.ts";

/** Answers requests from a table. */
export class RpcDispatch {
  readonly #methods: ReadonlyMap<string, RpcMethod>;
  readonly #services: ReadonlySet<string>;
  readonly #emit: Emit;

  constructor(table: RpcTable, emit: Emit) {
    this.#methods = new Map(Object.entries(table));
    this.#services = new Set(Object.keys(table).map((name) => serviceOf(name)));
    this.#emit = emit;
  }

  /** Never rejects. */
  async answer(request: RpcRequest): Promise<OutFrame> {
    try {
      const method = this.#method(request.method);
      return request.answer(await method(request.call()));
    } catch (error) {
      return request.refuse(this.#textOf(error, request.method));
    }
  }

  /** @throws RpcError in the words of RoadRunner: clients look for them */
  #method(name: string): RpcMethod {
    const method = this.#methods.get(name);
    if (method !== undefined) return method;
    if (!name.includes(".")) throw new RpcError(`rpc: service/method request ill-formed: ${name}`);
    const what = this.#services.has(serviceOf(name)) ? "method" : "service";
    throw new RpcError(`rpc: can't find ${what} ${name}`);
  }

  #textOf(error: unknown, method: string): string {
    if (error instanceof RpcError) return error.message;
    if (error instanceof Failure) {
      return error.fix === undefined ? error.message : `${error.message}; ${error.fix}`;
    }
    this.#emit("internal_error", {
      where: `rpc ${method}`,
      error: messageOf(error),
      stack: error instanceof Error ? error.stack : undefined,
    });
    return `internal error: ${messageOf(error)}`;
  }
}

/** What stands before the last dot. */
function serviceOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf(".")));
}
