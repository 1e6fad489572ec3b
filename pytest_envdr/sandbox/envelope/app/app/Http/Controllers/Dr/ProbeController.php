<?php

declare(strict_types=1);

namespace App\Http\Controllers\Dr;

use App\Dr\Probe;
use App\Dr\Token;
use Illuminate\Http\JsonResponse;
use Illuminate\Http\Request;

final class ProbeController
{
    public function __invoke(Request $request): JsonResponse
    {
        return new JsonResponse(Probe::roundTrip(Token::from($request)));
    }
}
