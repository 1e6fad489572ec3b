<?php

declare(strict_types=1);

namespace App\Http\Middleware;

use Closure;
use Illuminate\Http\Request;
use Symfony\Component\HttpFoundation\Response;

/**
 * One line a request on standard output, which is the container's log.
 */
final class AccessLog
{
    public function handle(Request $request, Closure $next): Response
    {
        return $next($request);
    }

    public function terminate(Request $request, Response $response): void
    {
        $milliseconds = (microtime(true) - (float) $request->server('REQUEST_TIME_FLOAT')) * 1000;
        file_put_contents('php://stdout', sprintf(
            "[%s] %s %s %s %d %.0f ms\n",
            gmdate('c'),
            $request->ip(),
            $request->method(),
            $request->getRequestUri(),
            $response->getStatusCode(),
            $milliseconds,
        ));
    }
}
