/** `tls` of a broker's section: one schema for all of them. */

import * as z from "zod";
import { Refusal } from "../../names.ts";
import { refuse, section, text } from "../../schema/fields.ts";
import type { SectionPlace, SectionProblem } from "../../sections.ts";
import { noEffect, textOrEmpty } from "../fields.ts";
import { notThere } from "../there.ts";

/** TLS to a broker: absolute paths of PEM files. */
export interface BrokerTls {
  /** The certificate and its key that we show; both or none. */
  cert?: string;
  key?: string;
  /** Who may have signed the broker's; undefined: whom the system trusts. */
  root_ca?: string;
}

/** As it is written. */
export const brokerTls = section("TLS to the broker.", {
  cert: textOrEmpty("PEM file of the certificate that we show.", { example: "tls/client.crt" })
    .optional(),
  key: textOrEmpty("PEM file of its key.", { example: "tls/client.key" }).optional(),
  root_ca: text("PEM file of those who may have signed the broker's certificate.", {
    defaultFrom: "whom the system trusts",
    example: "tls/ca.crt",
  }).optional(),
  client_auth_type: noEffect("it is the broker that asks for certificates of its clients"),
}).superRefine(({ cert, key }, context) => {
  if ((cert === undefined) === (key === undefined)) return;
  refuse(context, new Refusal("has one of cert and key", "write both, or none"));
});

/** With absolute paths. `at`: where it stands in the broker's section. */
export function completeBrokerTls(
  { cert, key, root_ca }: z.output<typeof brokerTls>,
  { absolute }: SectionPlace,
): BrokerTls {
  const path = (name: string, written: string | undefined) =>
    written === undefined ? undefined : absolute(written, ["tls", name]);
  return { cert: path("cert", cert), key: path("key", key), root_ca: path("root_ca", root_ca) };
}

/** Files that are not there. `section`: the broker's, for messages. */
export function checkBrokerTls(section: string, tls: BrokerTls | undefined): SectionProblem[] {
  return Object.entries(tls ?? {}).flatMap(([key, path]: [string, string | undefined]) => {
    const why = path === undefined ? undefined : notThere(path, "file");
    if (why === undefined) return [];
    const message = `${section}.tls.${key}: ${why}`;
    return [{ severity: "error" as const, path: ["tls", key], message, fix: "correct the path" }];
  });
}
