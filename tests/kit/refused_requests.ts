/**
 * Requests that two servers could read differently, byte by byte: what a front must refuse, whoever
 * stands behind it.
 *
 * Invariant: each is refused by the status beside it, and nothing of it is a request to anybody.
 */

/** The field every request needs. */
export const HOST = "Host: x\r\n";

/** Raw requests and the status they must get. */
export const REFUSED: [name: string, request: string, status: number][] = [
  ["bare LF after the request line", `GET / HTTP/1.1\n${HOST}\r\n`, 400],
  ["bare LF after a field", `GET / HTTP/1.1\r\nHost: x\n\r\n`, 400],
  ["bare LF as empty line", `GET / HTTP/1.1\r\n${HOST}\n`, 400],
  ["CR without LF", `GET / HTTP/1.1\r\nHost: x\rX: y\r\n\r\n`, 400],
  ["space before the colon", `GET / HTTP/1.1\r\n${HOST}X : y\r\n\r\n`, 400],
  ["space before the first field", `GET / HTTP/1.1\r\n ${HOST}\r\n`, 400],
  ["folded line", `GET / HTTP/1.1\r\n${HOST}X: a\r\n b\r\n\r\n`, 400],
  ["name that is no token", `GET / HTTP/1.1\r\n${HOST}X(y): a\r\n\r\n`, 400],
  ["empty name", `GET / HTTP/1.1\r\n${HOST}: a\r\n\r\n`, 400],
  ["line without a colon", `GET / HTTP/1.1\r\n${HOST}nonsense\r\n\r\n`, 400],
  ["NUL in a value", `GET / HTTP/1.1\r\n${HOST}X: a\0b\r\n\r\n`, 400],
  ["escape in a value", `GET / HTTP/1.1\r\n${HOST}X: a\x1bb\r\n\r\n`, 400],
  ["DEL in a value", `GET / HTTP/1.1\r\n${HOST}X: a\x7fb\r\n\r\n`, 400],
  ["control byte in the target", `GET /a\x01b HTTP/1.1\r\n${HOST}\r\n`, 400],
  ["tab in the target", `GET /a\tb HTTP/1.1\r\n${HOST}\r\n`, 400],
  ["two spaces", `GET  / HTTP/1.1\r\n${HOST}\r\n`, 400],
  ["space in the target", `GET /a b HTTP/1.1\r\n${HOST}\r\n`, 400],
  ["method that is no token", `G@T / HTTP/1.1\r\n${HOST}\r\n`, 400],
  ["target without a slash", `GET index.html HTTP/1.1\r\n${HOST}\r\n`, 400],
  ["star for GET", `GET * HTTP/1.1\r\n${HOST}\r\n`, 400],
  ["unparsable host in the target", `GET http://[bad/ HTTP/1.1\r\n${HOST}\r\n`, 400],
  ["user in the target", `GET http://a@b/ HTTP/1.1\r\n${HOST}\r\n`, 400],
  ["empty host in the target", `GET http:///x HTTP/1.1\r\n${HOST}\r\n`, 400],
  ["foreign scheme", `GET ftp://x/ HTTP/1.1\r\n${HOST}\r\n`, 400],
  ["no Host", `GET / HTTP/1.1\r\n\r\n`, 400],
  ["two Hosts", `GET / HTTP/1.1\r\n${HOST}${HOST}\r\n`, 400],
  ["Host with a space", `GET / HTTP/1.1\r\nHost: a b\r\n\r\n`, 400],
  ["Host with a path", `GET / HTTP/1.1\r\nHost: a/b\r\n\r\n`, 400],
  ["Host with a list", `GET / HTTP/1.1\r\nHost: a,b\r\n\r\n`, 400],
  ["Host with letters for a port", `GET / HTTP/1.1\r\nHost: a:b\r\n\r\n`, 400],
  [
    "both lengths",
    `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
  ],
  [
    "both lengths, other order",
    `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
    400,
  ],
  ["two lengths", `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\nContent-Length: 6\r\n\r\n`, 400],
  [
    "the same length twice",
    `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\ncontent-length: 5\r\n\r\n`,
    400,
  ],
  ["list of lengths", `POST / HTTP/1.1\r\n${HOST}Content-Length: 5, 5\r\n\r\nhello`, 400],
  ["signed length", `POST / HTTP/1.1\r\n${HOST}Content-Length: +5\r\n\r\nhello`, 400],
  ["negative length", `POST / HTTP/1.1\r\n${HOST}Content-Length: -5\r\n\r\n`, 400],
  ["hexadecimal length", `POST / HTTP/1.1\r\n${HOST}Content-Length: 0x5\r\n\r\nhello`, 400],
  ["empty length", `POST / HTTP/1.1\r\n${HOST}Content-Length:\r\n\r\n`, 400],
  [
    "length beyond numbers",
    `POST / HTTP/1.1\r\n${HOST}Content-Length: 99999999999999999999\r\n\r\n`,
    400,
  ],
  ["unknown coding", `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip\r\n\r\n`, 400],
  ["coding list", `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip, chunked\r\n\r\n`, 400],
  ["coding identity", `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: identity\r\n\r\n`, 400],
  ["coding with a quirk", `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: xchunked\r\n\r\n`, 400],
  [
    "coding with vertical tab",
    `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: \x0bchunked\r\n\r\n`,
    400,
  ],
  [
    "two codings",
    `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
  ],
  [
    "coding in HTTP/1.0",
    `POST / HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
  ],
  ["HTTP/0.9", `GET /\r\n`, 400],
  ["HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505],
  ["HTTP/3", `GET / HTTP/3.0\r\n${HOST}\r\n`, 505],
  ["HTTP/1.2", `GET / HTTP/1.2\r\n${HOST}\r\n`, 505],
  ["lower-case version", `GET / http/1.1\r\n${HOST}\r\n`, 400],
  ["TLS on a plain port", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400],
  ["CONNECT", `CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n`, 405],
  ["only empty lines", "\r\n".repeat(10), 400],
];

/** Chunked bodies that no reading saves: the program may see a beginning, never an end. */
export const BAD_CHUNKS: [name: string, body: string][] = [
  ["no size", "\r\nhello\r\n0\r\n\r\n"],
  ["size with a sign", "+5\r\nhello\r\n0\r\n\r\n"],
  ["size with 0x", "0x5\r\nhello\r\n0\r\n\r\n"],
  ["size with a space before", " 5\r\nhello\r\n0\r\n\r\n"],
  ["size with a space behind", "5 \r\nhello\r\n0\r\n\r\n"],
  ["size with an underscore", "1_0\r\nhello\r\n0\r\n\r\n"],
  ["size beyond numbers", "fffffffffffffffff\r\nhello"],
  ["bare LF after the size", "5\nhello\r\n0\r\n\r\n"],
  ["bare LF in an extension", "5;a\nhello\r\n0\r\n\r\n"],
  ["bare LF after the data", "5\r\nhello\n0\r\n\r\n"],
  ["data longer than its size", "5\r\nhello!\r\n0\r\n\r\n"],
  ["endless extension", `5;${"a".repeat(300)}\r\nhello\r\n0\r\n\r\n`],
  ["bad trailer", "0\r\nX y\r\n\r\n"],
  ["folded trailer", "0\r\nX: y\r\n z\r\n\r\n"],
];
