/** The methods of `service`, called by PHP straight on the protocol. */

import { assertEquals } from "@std/assert";
import { Failure } from "../../../../lib/core/failure.ts";
import { FakeHost, field, made } from "./kit.ts";

const OK = { hex: "1001" };

Deno.test("service: make, restart, end", async () => {
  const all = [
    field(1, "queue"),
    field(2, "php queue.php"),
    "1802", // process_num 2
    "2005", // exec_timeout 5 s
    "2801", // remain_after_exit
    `320a${field(1, "APP")}${field(2, "dev")}`,
    "3807", // restart_sec 7
    "4001", // service_name_in_logs
    "4803", // timeout_stop_sec 3
    "c03e01", // of a later version
  ].join("");
  const [replies, asked] = await made([
    ["service.Create", { hex: all }],
    ["service.Create", { hex: field(1, "b") + field(2, "sleep 1") }],
    ["service.Create", { json: { name: "c", command: "sleep 1", restart_sec: 1, env: [] } }],
    ["service.Restart", { hex: field(1, "queue") }],
    ["service.Terminate", { hex: field(1, "queue") }],
  ]);
  const ok = { message: "", ok: true };
  assertEquals(replies, [OK, OK, { json: ok }, OK, OK]);
  assertEquals(asked, [
    'create queue {"command":"php queue.php","process_num":2,"exec_timeout":5000,' +
    '"remain_after_exit":true,"restart_sec":7000,"timeout_stop_sec":3000,"env":{"APP":"dev"},' +
    '"service_name_in_log":true}',
    'create b {"command":"sleep 1","process_num":1,"exec_timeout":0,"remain_after_exit":false,' +
    '"restart_sec":30000,"timeout_stop_sec":5000,"env":{},"service_name_in_log":false}',
    'create c {"command":"sleep 1","process_num":1,"exec_timeout":0,"remain_after_exit":false,' +
    '"restart_sec":1000,"timeout_stop_sec":5000,"env":{},"service_name_in_log":false}',
    "restart queue",
    "terminate queue",
  ]);
});

Deno.test("service: what cannot be is an error", async () => {
  const host = new FakeHost();
  host.failure = new Failure('there is a service "queue" already');
  const minus = "18ffffffffffffffffff01";
  const [replies, asked] = await made([
    ["service.Create", { hex: field(1, "queue") + field(2, "true") }],
    ["service.Create", { hex: field(2, "true") }],
    ["service.Create", { hex: field(1, "queue") }],
    ["service.Create", { hex: field(1, "queue") + field(2, "true") + minus }],
    ["service.Create", { hex: field(1, "queue") + field(2, "true") + "18e907" }],
    ["service.Create", { json: { name: "a", command: "b", restart_sec: 1.5 } }],
    ["service.Terminate", { hex: "" }],
    ["service.Statuses", { hex: field(1, "nope") }],
    ["service.Status", { hex: field(1, "nope") }],
  ], host);
  assertEquals(replies.map(({ error }) => error), [
    'there is a service "queue" already',
    '"name" must not be empty',
    '"command" must not be empty',
    '"process_num" cannot be -1: it is a whole number',
    '"process_num" cannot be 1001: at most 1000',
    '"restart_sec" cannot be 1.5: it is a whole number',
    '"name" must not be empty',
    "no such service: nope",
    "no such service: nope",
  ]);
  assertEquals(asked.length, 1);
});

Deno.test("service: list and statuses", async () => {
  const host = new FakeHost();
  host.processes = {
    queue: [
      { pid: 300, cpu_percent: 0.5, memory_bytes: 5_000_000_000, command: "php q" },
      { pid: 0, cpu_percent: 0, memory_bytes: 0, command: "", error: "ended" },
    ],
    none: [],
  };
  const first = `0d0000003f10ac0218${"80e497d012"}${field(4, "php q")}`;
  const second = `2a09${"0802"}${field(2, "ended")}`;
  const sized = (hex: string) => `0a${(hex.length / 2).toString(16).padStart(2, "0")}${hex}`;
  const [replies] = await made([
    ["service.List", { hex: "" }],
    ["service.List", { json: {} }],
    ["service.Statuses", { hex: field(1, "queue") }],
    ["service.Statuses", { hex: field(1, "none") }],
    ["service.Status", { hex: field(1, "queue") }],
    ["service.Status", { hex: field(1, "none") }],
    ["service.Statuses", { json: { name: "queue" } }],
  ], host);
  const status = { cpu_percent: 0.5, pid: 300, memory_usage: 5_000_000_000, command: "php q" };
  const error = { code: 2, message: "ended" };
  const ended = { cpu_percent: 0, pid: 0, memory_usage: 0, command: "", status: error };
  assertEquals(replies, [
    { hex: field(1, "queue") + field(1, "none") },
    { json: { services: ["queue", "none"] } },
    { hex: sized(first) + sized(second) },
    { hex: "" },
    { hex: first },
    { error: "the service has no process" },
    { json: { status: [{ ...status, status: null }, ended] } },
  ]);
});

Deno.test("service: without a section there are none", async () => {
  const host = new FakeHost();
  host.services = undefined;
  const queue = field(1, "queue");
  const [replies, asked] = await made([
    ["service.Create", { hex: queue + field(2, "true") }],
    ["service.Terminate", { hex: queue }],
    ["service.Restart", { hex: queue }],
    ["service.Statuses", { hex: queue }],
    ["service.List", { hex: "" }],
  ], host);
  const off = { error: 'services are off: there is no section "service" in the configuration' };
  assertEquals(replies, Array(5).fill(off));
  assertEquals(asked, []);
});
