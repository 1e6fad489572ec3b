<?php

declare(strict_types=1);

namespace App\Reverb;

/**
 * A WebSocket frame (RFC 6455, section 5.2).
 */
final class Frame
{
    public const CONTINUATION = 0x0;
    public const TEXT = 0x1;
    public const BINARY = 0x2;
    public const CLOSE = 0x8;
    public const PING = 0x9;
    public const PONG = 0xA;
    public const LONGEST = 65536;

    private function __construct(
        public readonly bool $final,
        public readonly int $opcode,
        public readonly string $payload,
    ) {
    }

    public static function text(string $payload): string
    {
        return self::encode(self::TEXT, $payload);
    }

    public static function pong(string $payload): string
    {
        return self::encode(self::PONG, $payload);
    }

    public static function close(int $code): string
    {
        return self::encode(self::CLOSE, pack('n', $code));
    }

    /**
     * Take the first whole frame off the buffer; null while it is not all there.
     */
    public static function take(string &$buffer): ?self
    {
        if (strlen($buffer) < 2) {
            return null;
        }
        [$first, $second] = [ord($buffer[0]), ord($buffer[1])];
        if (($second & 0x80) === 0) {
            throw new ProtocolError('a client must mask its frames', 1002);
        }
        [$length, $offset] = self::length($buffer, $second & 0x7F);
        if ($length > self::LONGEST) {
            throw new ProtocolError('frame too big', 1009);
        }
        if (strlen($buffer) < $offset + 4 + $length) {
            return null;
        }
        $payload = self::unmask(substr($buffer, $offset + 4, $length), substr($buffer, $offset, 4));
        $buffer = substr($buffer, $offset + 4 + $length);

        return new self(($first & 0x80) !== 0, $first & 0x0F, $payload);
    }

    /**
     * @return array{int, int} the payload's length, and where the mask begins
     */
    private static function length(string $buffer, int $short): array
    {
        return match (true) {
            $short < 126 => [$short, 2],
            $short === 126 => [strlen($buffer) < 4 ? 0 : unpack('n', $buffer, 2)[1], 4],
            default => [strlen($buffer) < 10 ? 0 : unpack('J', $buffer, 2)[1], 10],
        };
    }

    private static function unmask(string $payload, string $mask): string
    {
        return $payload ^ substr(str_repeat($mask, intdiv(strlen($payload), 4) + 1), 0, strlen($payload));
    }

    private static function encode(int $opcode, string $payload): string
    {
        $length = strlen($payload);
        $head = match (true) {
            $length < 126 => pack('CC', 0x80 | $opcode, $length),
            $length < 65536 => pack('CCn', 0x80 | $opcode, 126, $length),
            default => pack('CCJ', 0x80 | $opcode, 127, $length),
        };

        return $head . $payload;
    }
}
