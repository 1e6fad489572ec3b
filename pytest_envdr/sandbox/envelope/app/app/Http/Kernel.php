<?php

declare(strict_types=1);

namespace App\Http;

use App\Http\Middleware\AccessLog;
use App\Http\Middleware\PreventRequestsDuringMaintenance;
use App\Http\Middleware\TellVersion;
use Illuminate\Foundation\Http\Kernel as HttpKernel;

final class Kernel extends HttpKernel
{
    /** @var list<class-string> */
    protected $middleware = [TellVersion::class, AccessLog::class, PreventRequestsDuringMaintenance::class];

    /** @var array<string, list<class-string>> */
    protected $middlewareGroups = [];
}
