/** A TCP worker on the kit: CONNECTED greets, DATA is a command; see tcp_test.ts. */

import { tcp } from "../../../../worker/mod.ts";

tcp(({ event, data, remoteAddr, server, uuid }) => {
  if (event === "CONNECTED") return;
  if (event === "CLOSE") return { close: true };
  switch (new TextDecoder().decode(data).trim()) {
    case "who":
      return JSON.stringify({ remoteAddr, server, uuid });
    case "bye":
      return { write: "bye\r\n", close: true };
    case "close":
      return { close: true };
    case "throw":
      throw new Error("tcp broke");
    default:
      return data;
  }
});
