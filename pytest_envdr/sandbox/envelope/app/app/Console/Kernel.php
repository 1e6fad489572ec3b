<?php

declare(strict_types=1);

namespace App\Console;

use App\Console\Commands\Dr\DispatchCommand;
use App\Console\Commands\Dr\ForgetCommand;
use App\Console\Commands\Dr\LedgerCommand;
use App\Console\Commands\Dr\QueueCommand;
use App\Console\Commands\Dr\RedispatchCommand;
use App\Console\Commands\Dr\RedriveCommand;
use App\Console\Commands\HeartbeatCommand;
use App\Console\Commands\ReverbCommand;
use App\Console\Commands\Tenant\BucketCommand;
use App\Console\Commands\Tenant\DeleteCommand;
use Illuminate\Foundation\Console\Kernel as ConsoleKernel;

final class Kernel extends ConsoleKernel
{
    /** @var list<class-string> */
    protected $commands = [
        BucketCommand::class,
        DeleteCommand::class,
        DispatchCommand::class,
        ForgetCommand::class,
        HeartbeatCommand::class,
        LedgerCommand::class,
        QueueCommand::class,
        RedispatchCommand::class,
        RedriveCommand::class,
        ReverbCommand::class,
    ];
}
