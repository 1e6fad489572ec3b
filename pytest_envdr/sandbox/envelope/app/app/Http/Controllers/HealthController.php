<?php

declare(strict_types=1);

namespace App\Http\Controllers;

use Illuminate\Http\JsonResponse;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\DB;

final class HealthController
{
    /**
     * Shallow unless asked: a database that is down must not have every task replaced. `?deep=1` asks the database.
     */
    public function __invoke(Request $request): JsonResponse
    {
        if ($request->boolean('deep')) {
            DB::selectOne('SELECT 1');
        }

        return new JsonResponse(['status' => 'up', 'service' => config('app.service'), 'task' => config('app.task')]);
    }
}
