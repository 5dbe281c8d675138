/**
 * The service `app`: the application's lines in the log of the daemon.
 *
 * | method                                        | argument              | answer  |
 * | --------------------------------------------- | --------------------- | ------- |
 * | `Error` `Info` `Warning` `Debug` `Log`        | JSON string           | `false` |
 * | the same with `…WithContext`                  | message, `LogEntry`   | empty   |
 */

import type { RpcMethod, RpcTable } from "../../goridge/rpc.ts";
import { Message, messages, text } from "../../goridge/rpc_message.ts";
import { stringArgument } from "./argument.ts";
import type { AppLogLevel, RpcHost } from "./host.ts";

interface Attribute {
  key: string;
  value: string;
}

const entry = new Message<{ message: string; log_attrs: Attribute[] }>({
  message: text(1),
  log_attrs: messages(2, new Message<Attribute>({ key: text(1), value: text(2) })),
});
const nothing = new Message<Record<never, never>>({});

const LEVELS: readonly [method: string, level: AppLogLevel][] = [
  ["Error", "error"],
  ["Info", "info"],
  ["Warning", "warn"],
  ["Debug", "debug"],
  ["Log", "plain"],
];

/** `app.*` */
export function appTable(host: RpcHost): RpcTable {
  const plain = ([method, level]: [string, AppLogLevel]): [string, RpcMethod] => [
    `app.${method}`,
    (call) => {
      host.log(level, stringArgument(call, "the line"), {});
      return { json: false };
    },
  ];
  const withContext = ([method, level]: [string, AppLogLevel]): [string, RpcMethod] => [
    `app.${method}WithContext`,
    (call) => {
      const { message, log_attrs } = entry.argument(call);
      host.log(level, message, Object.fromEntries(log_attrs.map(({ key, value }) => [key, value])));
      return nothing.answer(call, {});
    },
  ];
  return Object.fromEntries(
    LEVELS.flatMap((level) => [plain([...level]), withContext([...level])]),
  );
}
