<?php

declare(strict_types=1);

namespace App\Console\Commands\Dr;

use App\Dr\Queue\Order;
use App\Dr\Queue\Outbox;

/**
 * Marked jobs, each written to the outbox before the queue hears of it.
 */
final class DispatchCommand extends ExerciseCommand
{
    /** @var string */
    protected $signature = 'dr:dispatch {exercise} {orders : A JSON list of what to dispatch}';

    /** @var string */
    protected $description = 'Dispatch marked jobs for an exercise';

    /**
     * @return array<string, mixed>
     */
    protected function tell(string $exercise): array
    {
        return ['jobs' => Outbox::dispatch($exercise, Order::list((string) $this->argument('orders')))];
    }
}
