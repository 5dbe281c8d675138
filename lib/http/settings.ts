/**
 * What forwarding can be told, and the one place where configuration becomes it.
 *
 * Invariant: settings are replaced whole (a reload makes a new object), never changed in place, so a
 * request sees one consistent set.
 */

import type { ProxyConfig } from "../config/config.ts";
import type { FrontOptions } from "./front.ts";
import { Networks } from "./networks.ts";

/** Settings of `forward`, in milliseconds. */
export interface ForwardSettings {
  /** Peers whose `X-Forwarded-*`, `Forwarded` and `X-Request-ID` are believed. */
  trusted_proxies: Networks;
  timeouts: {
    /** Until an upstream accepted the connection; 0: the system's own limit. */
    connect: number;
    /** Until the head of the answer; 0: none. */
    response: number;
    /** An upstream that takes no byte for so long is cut; 0: never. */
    send: number;
  };
  /** How long arrivals may wait for a crashed program; shown in Retry-After. */
  hold: number;
  /** What `X-Forwarded-Port` says to upstreams. */
  public_port: number;
  /** Largest head accepted from an upstream, in bytes and fields. */
  limits: { header_bytes: number; headers: number };
}

/** Forwarding settings of a configuration. `port`: the real one (0 may be configured). */
export function forwardSettings(proxy: ProxyConfig, port: number): ForwardSettings {
  return {
    trusted_proxies: Networks.parse(proxy.trusted_proxies),
    timeouts: {
      connect: proxy.timeouts.connect,
      response: proxy.timeouts.response,
      send: proxy.timeouts.send,
    },
    hold: proxy.hold,
    public_port: port,
    limits: { header_bytes: proxy.limits.header_bytes, headers: proxy.limits.headers },
  };
}

/** Front options of a configuration. */
export function frontOptions(proxy: ProxyConfig): FrontOptions {
  const { header, idle, send } = proxy.timeouts;
  return { timeouts: { header, idle, send }, limits: { ...proxy.limits } };
}
