<?php

declare(strict_types=1);

namespace App\Http\Controllers\Dr;

use App\Dr\Heartbeat;
use Illuminate\Http\JsonResponse;

final class HeartbeatController
{
    public function __invoke(): JsonResponse
    {
        return new JsonResponse(Heartbeat::newest());
    }
}
