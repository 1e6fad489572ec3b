<?php

declare(strict_types=1);

namespace App\Console\Commands\Dr;

use App\Dr\Queue\Account;

/**
 * Takes away all that an exercise has left in queue, locks and ledger, and nothing else.
 */
final class ForgetCommand extends ExerciseCommand
{
    /** @var string */
    protected $signature = 'dr:forget {exercise}';

    /** @var string */
    protected $description = 'Remove the marked jobs of an exercise from all places, with their locks and rows';

    /**
     * @return array<string, mixed>
     */
    protected function tell(string $exercise): array
    {
        return ['removed' => Account::forget($exercise)];
    }
}
