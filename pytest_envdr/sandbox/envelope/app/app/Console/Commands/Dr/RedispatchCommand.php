<?php

declare(strict_types=1);

namespace App\Console\Commands\Dr;

use App\Dr\Queue\Outbox;

/**
 * Lost jobs again, under the same business ids.
 */
final class RedispatchCommand extends ExerciseCommand
{
    /** @var string */
    protected $signature = 'dr:redispatch {exercise} {ids?* : Only these}';

    /** @var string */
    protected $description = 'Dispatch the lost jobs of an exercise again, from its outbox';

    /**
     * @return array<string, mixed>
     */
    protected function tell(string $exercise): array
    {
        return ['jobs' => Outbox::redispatch($exercise, (array) $this->argument('ids'))];
    }
}
