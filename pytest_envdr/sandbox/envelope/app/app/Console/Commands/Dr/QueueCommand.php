<?php

declare(strict_types=1);

namespace App\Console\Commands\Dr;

use App\Dr\Queue\Account;

/**
 * The queue as it is, and which jobs in it are the exercise's.
 */
final class QueueCommand extends ExerciseCommand
{
    /** @var string */
    protected $signature = 'dr:queue {exercise}';

    /** @var string */
    protected $description = 'Tell what is in the queue, and the settings in force';

    /**
     * @return array<string, mixed>
     */
    protected function tell(string $exercise): array
    {
        return Account::queue($exercise);
    }
}
