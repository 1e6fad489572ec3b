<?php

declare(strict_types=1);

namespace App\Http\Controllers\Dr;

use App\Dr\Ledger;
use App\Dr\Token;
use App\Jobs\RecordValue;
use Illuminate\Http\JsonResponse;
use Illuminate\Http\Request;

final class JobController
{
    private const LONGEST_SECONDS = 50.0;

    public function store(Request $request): JsonResponse
    {
        $value = Token::from($request);
        $seconds = min(self::LONGEST_SECONDS, max(0.0, (float) $request->json('seconds', 0)));
        Ledger::dispatched($value);
        dispatch(new RecordValue($value, $seconds));

        $connection = config('queue.default');

        return new JsonResponse(['value' => $value, 'queue' => config("queue.connections.{$connection}.queue")], 202);
    }

    public function show(string $value): JsonResponse
    {
        return new JsonResponse(Ledger::entry(Token::check($value)));
    }
}
