<?php

declare(strict_types=1);

namespace App\Queue;

use Closure;
use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Contracts\Events\Dispatcher;
use Illuminate\Contracts\Queue\Factory;
use Illuminate\Queue\Worker as FrameworkWorker;
use Illuminate\Queue\WorkerOptions;

/**
 * `queue:work` that reports each turn of its loop, idle and paused (maintenance) ones too, and notes its settings.
 */
final class Worker extends FrameworkWorker
{
    public function __construct(
        Factory $manager,
        Dispatcher $events,
        ExceptionHandler $exceptions,
        callable $isDownForMaintenance,
        callable $resetScope,
        private readonly Closure $loop,
    ) {
        parent::__construct($manager, $events, $exceptions, $isDownForMaintenance, $resetScope);
    }

    /**
     * @param string $connectionName
     * @param string $queue
     */
    protected function daemonShouldRun(WorkerOptions $options, $connectionName, $queue): bool
    {
        ($this->loop)();
        Workers::note($options, $connectionName, $queue);

        return parent::daemonShouldRun($options, $connectionName, $queue);
    }
}
