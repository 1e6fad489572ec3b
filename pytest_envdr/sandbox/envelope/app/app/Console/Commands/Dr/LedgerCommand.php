<?php

declare(strict_types=1);

namespace App\Console\Commands\Dr;

use App\Dr\Queue\Account;

/**
 * What was to be done, every run, and every effect.
 */
final class LedgerCommand extends ExerciseCommand
{
    /** @var string */
    protected $signature = 'dr:ledger {exercise}';

    /** @var string */
    protected $description = 'Tell outbox, runs and effects of an exercise';

    /**
     * @return array<string, mixed>
     */
    protected function tell(string $exercise): array
    {
        return Account::ledger($exercise);
    }
}
