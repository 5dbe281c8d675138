<?php
/**
 * What `spiral/roadrunner-http` and `spiral/goridge` do, as far as this example needs it, so that it
 * runs without Composer: frames over standard input and output, and calls over RR_RPC.
 *
 * Anything that PHP prints to standard output would be taken for a frame. So what is printed from
 * here on goes to standard error, which is the log.
 */

declare(strict_types=1);

ob_start(function (string $text): string {
    fwrite(STDERR, $text);
    return '';
}, 1);

const CONTROL = 0x01;
const JSON = 0x08;
const ERROR = 0x40;
const STREAM = 0x01;
const STOP_OR_PONG = 0x02 | 0x08;

/** The next request with its `body`; null: stop. */
function waitRequest(): ?array
{
    for (;;) {
        [$flags, $bits, $options, $payload] = readFrame(STDIN);
        if ($flags & CONTROL) {
            if (isset(json_decode($payload, true)['stop'])) {
                return null;
            }
            writeFrame(STDOUT, CONTROL, 0, [], json_encode(['pid' => getmypid()]));
        } elseif (!($bits & STOP_OR_PONG)) {
            $context = json_decode(substr($payload, 0, $options[0]), true, flags: JSON_THROW_ON_ERROR);
            return $context + ['body' => substr($payload, $options[0])];
        }
    }
}

/** @param array<string, string[]> $headers */
function respond(int $status, string $body, array $headers = []): void
{
    $head = json_encode(['status' => $status, 'headers' => (object) $headers]);
    writeFrame(STDOUT, JSON, 0, [strlen($head)], $head . $body);
}

/** Sends each piece as soon as it is there. @param iterable<string> $pieces */
function respondStream(int $status, iterable $pieces, array $headers = []): void
{
    $head = json_encode(['status' => $status, 'headers' => (object) $headers]);
    foreach ($pieces as $piece) {
        writeFrame(STDOUT, JSON, STREAM, [strlen($head)], $head . $piece);
        $head = '';
    }
    writeFrame(STDOUT, JSON, 0, [strlen($head)], $head);
}

/** Fails the request, not the worker. */
function respondError(string $text): void
{
    writeFrame(STDOUT, ERROR, 0, [], $text);
}

/** Calls a method of the server over RR_RPC. @throws RuntimeException with the server's words */
function rpc(string $method, mixed $argument): mixed
{
    static $connection = null, $number = 0;
    $address = getenv('RR_RPC') ?: 'tcp://127.0.0.1:6001';
    $connection ??= @stream_socket_client($address, $code, $why)
        ?: throw new RuntimeException("cannot reach RR_RPC at $address: $why");
    $options = [++$number, strlen($method)];
    writeFrame($connection, JSON, 0, $options, $method . json_encode($argument));
    [$flags, , $answered, $payload] = readFrame($connection);
    $result = substr($payload, $answered[1]);
    return $flags & ERROR ? throw new RuntimeException($result) : json_decode($result, true);
}

/** @return array{int, int, int[], string} flags, bits, options, payload */
function readFrame($from): array
{
    ['first' => $first, 'flags' => $flags, 'length' => $length, 'bits' => $bits] =
        unpack('Cfirst/Cflags/Vlength/Vcrc/Cbits', readWhole($from, 12));
    $words = ($first & 0x0f) - 3;
    $options = $words === 0 ? [] : array_values(unpack('V*', readWhole($from, 4 * $words)));
    return [$flags, $bits, $options, readWhole($from, $length)];
}

/** @param int[] $options */
function writeFrame($to, int $flags, int $bits, array $options, string $payload): void
{
    $head = pack('CCV', 0x13 + count($options), $flags, strlen($payload));
    $frame = $head . pack('VCC', crc32($head), $bits, 0) . pack('V*', ...$options) . $payload;
    for ($at = 0; $at < strlen($frame); $at += $count) {
        $count = fwrite($to, substr($frame, $at));
        if (!$count) {
            exit(255);
        }
    }
}

function readWhole($from, int $length): string
{
    for ($bytes = ''; strlen($bytes) < $length; $bytes .= $more) {
        $more = fread($from, $length - strlen($bytes));
        if ($more === false || $more === '') {
            exit(255);
        }
    }
    return $bytes;
}
