<?php

declare(strict_types=1);

namespace App\Reverb;

/**
 * An HTTP answer, whole.
 */
final class Response
{
    private const PHRASES = [
        101 => 'Switching Protocols',
        200 => 'OK',
        400 => 'Bad Request',
        404 => 'Not Found',
        426 => 'Upgrade Required',
        500 => 'Internal Server Error',
    ];

    private function __construct(public readonly int $status, public readonly string $text)
    {
    }

    /**
     * @param array<string, string> $body
     */
    public static function json(int $status, array $body): self
    {
        $json = json_encode($body, JSON_THROW_ON_ERROR);

        return self::make($status, [
            'Content-Type: application/json',
            'Content-Length: ' . strlen($json),
            'Connection: close',
        ], $json);
    }

    public static function upgrade(string $accept): self
    {
        return self::make(101, ['Upgrade: websocket', 'Connection: Upgrade', "Sec-WebSocket-Accept: {$accept}"], '');
    }

    /**
     * @param list<string> $headers
     */
    private static function make(int $status, array $headers, string $body): self
    {
        $version = 'X-Envelope-Version: ' . config('app.version');
        $head = implode("\r\n", ["HTTP/1.1 {$status} " . self::PHRASES[$status], ...$headers, $version]);

        return new self($status, $head . "\r\n\r\n" . $body);
    }
}
