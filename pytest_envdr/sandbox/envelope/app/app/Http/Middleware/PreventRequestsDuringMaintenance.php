<?php

declare(strict_types=1);

namespace App\Http\Middleware;

use Closure;
use Illuminate\Foundation\Http\Middleware\PreventRequestsDuringMaintenance as Middleware;

final class PreventRequestsDuringMaintenance extends Middleware
{
    /**
     * The load balancer's health check passes during maintenance: else it would have the tasks replaced for ever.
     *
     * @var list<string>
     */
    protected $except = ['up'];

    /**
     * A container that was started alone, to try a restored database, serves while the stack it shares its storage
     * with is in maintenance: its environment says so.
     *
     * @param \Illuminate\Http\Request $request
     * @return mixed
     */
    public function handle($request, Closure $next)
    {
        return config('app.heeds_maintenance') ? parent::handle($request, $next) : $next($request);
    }
}
