<?php

declare(strict_types=1);

namespace App\Http\Middleware;

use Illuminate\Foundation\Http\Middleware\PreventRequestsDuringMaintenance as Middleware;

final class PreventRequestsDuringMaintenance extends Middleware
{
    /**
     * The load balancer's health check passes during maintenance: else it would have the tasks replaced for ever.
     *
     * @var list<string>
     */
    protected $except = ['up'];
}
