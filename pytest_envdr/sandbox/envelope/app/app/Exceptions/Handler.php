<?php

declare(strict_types=1);

namespace App\Exceptions;

use Illuminate\Foundation\Exceptions\Handler as ExceptionHandler;
use Throwable;

final class Handler extends ExceptionHandler
{
    /**
     * Every page of every service speaks JSON, its errors too.
     *
     * @param \Illuminate\Http\Request $request
     */
    protected function shouldReturnJson($request, Throwable $e): bool
    {
        return true;
    }
}
