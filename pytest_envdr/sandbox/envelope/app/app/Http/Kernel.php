<?php

declare(strict_types=1);

namespace App\Http;

use App\Http\Middleware\PreventRequestsDuringMaintenance;
use Illuminate\Foundation\Http\Kernel as HttpKernel;

final class Kernel extends HttpKernel
{
    /** @var list<class-string> */
    protected $middleware = [PreventRequestsDuringMaintenance::class];

    /** @var array<string, list<class-string>> */
    protected $middlewareGroups = [];
}
