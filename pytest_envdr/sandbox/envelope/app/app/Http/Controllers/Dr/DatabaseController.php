<?php

declare(strict_types=1);

namespace App\Http\Controllers\Dr;

use App\Dr\Database;
use App\Dr\Token;
use Illuminate\Http\JsonResponse;
use Illuminate\Http\Request;

final class DatabaseController
{
    public function __invoke(Request $request): JsonResponse
    {
        $value = $request->query('value');

        return new JsonResponse(Database::identity($value === null ? null : Token::check($value)));
    }
}
