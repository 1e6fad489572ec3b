<?php

declare(strict_types=1);

namespace App\Console;

use App\Console\Commands\HeartbeatCommand;
use App\Console\Commands\ReverbCommand;
use Illuminate\Foundation\Console\Kernel as ConsoleKernel;

final class Kernel extends ConsoleKernel
{
    /** @var list<class-string> */
    protected $commands = [HeartbeatCommand::class, ReverbCommand::class];
}
