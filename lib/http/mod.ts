/** Public face of the HTTP floor. */
export { type Accepted, Acceptor } from "./acceptor.ts";
export { ListeningAddress, type Opening } from "./address.ts";
export { answer, BytesBody, noBody } from "./answer.ts";
export {
  type Body,
  BodyBroken,
  type ByteTunnel,
  type ClientAddress,
  type Exchange,
  type Handler,
  WINDOW_ROOM,
} from "./exchange.ts";
export { Fields, Kind } from "./fields.ts";
export { forward, type ForwardHost } from "./forward.ts";
export type { Front, FrontHost, FrontKind, FrontOptions, Place, TlsPair } from "./front.ts";
export { RequestHead } from "./head.ts";
export { ResponseHead } from "./response_head.ts";
export { Networks } from "./networks.ts";
export { listen } from "./listen.ts";
export { openFront } from "./open.ts";
export { remoteOf } from "./remote.ts";
export { type ForwardSettings, forwardSettings, frontOptions } from "./settings.ts";
export {
  type AddressHost,
  type Binding,
  type Listening,
  printed,
  StableAddress,
  type Where,
} from "./stable_address.ts";
export type { Sweeper } from "./sweeper.ts";
export { readTlsPair } from "./tls_pair.ts";
export { Upstream, type UpstreamHost } from "./upstream.ts";
export { UpstreamSet } from "./upstream_set.ts";
export { Wire } from "./wire.ts";
