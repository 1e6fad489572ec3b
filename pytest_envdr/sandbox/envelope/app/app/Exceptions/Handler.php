<?php

declare(strict_types=1);

namespace App\Exceptions;

use Illuminate\Foundation\Exceptions\Handler as ExceptionHandler;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\HttpKernel\Exception\HttpExceptionInterface;
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

    /**
     * @return array<string, mixed>
     */
    protected function convertExceptionToArray(Throwable $e): array
    {
        $body = parent::convertExceptionToArray($e);
        if ($body['message'] === '' && $e instanceof HttpExceptionInterface) {
            $body['message'] = Response::$statusTexts[$e->getStatusCode()] ?? 'Error';
        }

        return $body;
    }
}
