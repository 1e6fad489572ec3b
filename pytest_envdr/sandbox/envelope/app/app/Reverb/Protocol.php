<?php

declare(strict_types=1);

namespace App\Reverb;

use App\Dr\Probe;
use App\Dr\Token;
use Symfony\Component\HttpKernel\Exception\UnprocessableEntityHttpException;

/**
 * The messages: the Pusher protocol's greeting and keep-alive, and the drills' probe.
 */
final class Protocol
{
    private const ACTIVITY_TIMEOUT = 120;

    public static function established(): string
    {
        $data = [
            'socket_id' => random_int(1, 1_000_000_000) . '.' . random_int(1, 1_000_000_000),
            'activity_timeout' => self::ACTIVITY_TIMEOUT,
        ];

        // The protocol has the greeting's data as JSON within JSON.
        return self::event('pusher:connection_established', json_encode($data, JSON_THROW_ON_ERROR));
    }

    /**
     * The answer to a client's message, or null where it wants none.
     */
    public static function answer(string $message): ?string
    {
        $decoded = json_decode($message, true);
        if (!is_array($decoded) || !is_string($decoded['event'] ?? null)) {
            return self::error('Invalid message format', 4200);
        }

        return match ($decoded['event']) {
            'pusher:ping' => self::event('pusher:pong', '{}'),
            'dr:probe' => self::probe($decoded['data'] ?? []),
            default => null,
        };
    }

    public static function error(string $message, int $code): string
    {
        return self::event('pusher:error', ['message' => $message, 'code' => $code]);
    }

    private static function probe(mixed $data): string
    {
        try {
            $value = Token::check(is_array($data) ? ($data['value'] ?? null) : null);
        } catch (UnprocessableEntityHttpException $error) {
            return self::error($error->getMessage(), 4200);
        }

        return self::event('dr:probe', Probe::roundTrip($value));
    }

    /**
     * @param string|array<string, int|string> $data
     */
    private static function event(string $event, string|array $data): string
    {
        return json_encode(['event' => $event, 'data' => $data], JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE);
    }
}
