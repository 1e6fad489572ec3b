<?php

declare(strict_types=1);

namespace App\Console\Commands\Dr;

use App\Dr\Queue\Places;

/**
 * Dead jobs again: out of the dead-letter queue into the queue. SQS's own redrive would move those of others too.
 */
final class RedriveCommand extends ExerciseCommand
{
    /** @var string */
    protected $signature = 'dr:redrive {exercise}';

    /** @var string */
    protected $description = 'Put the marked jobs of an exercise back from the dead-letter queue into the queue';

    /**
     * @return array<string, mixed>
     */
    protected function tell(string $exercise): array
    {
        return ['jobs' => Places::inUse()->redrive($exercise)];
    }
}
