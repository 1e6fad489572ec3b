<?php

declare(strict_types=1);

namespace App\Reverb;

use Illuminate\Support\Facades\DB;
use Throwable;

/**
 * The HTTP part: health, and the way into WebSocket (RFC 6455, section 4.2.2).
 */
final class Handshake
{
    private const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

    public static function answer(Request $request): Response
    {
        return match (true) {
            $request->path() === '/up' => self::health($request),
            preg_match('#^/app/[^/]+$#', $request->path()) === 1 => self::upgrade($request),
            default => Response::json(404, ['message' => 'Not Found']),
        };
    }

    private static function upgrade(Request $request): Response
    {
        if (strtolower($request->header('upgrade')) !== 'websocket') {
            return Response::json(426, ['message' => 'Upgrade Required']);
        }
        $key = $request->header('sec-websocket-key');
        if (strlen((string) base64_decode($key, true)) !== 16) {
            return Response::json(400, ['message' => 'Sec-WebSocket-Key must be 16 bytes in base64']);
        }

        return Response::upgrade(base64_encode(sha1($key . self::GUID, true)));
    }

    private static function health(Request $request): Response
    {
        $status = 200;
        if ($request->asks('deep=1')) {
            try {
                DB::selectOne('SELECT 1');
            } catch (Throwable $error) {
                report($error);
                $status = 500;
            }
        }

        return Response::json($status, [
            'status' => $status === 200 ? 'up' : 'down',
            'service' => (string) config('app.service'),
            'task' => (string) config('app.task'),
        ]);
    }
}
