<?php

declare(strict_types=1);

namespace App\Jobs;

use App\Dr\Ledger;
use Illuminate\Bus\Queueable;
use Illuminate\Contracts\Queue\ShouldQueue;
use Illuminate\Foundation\Bus\Dispatchable;
use Illuminate\Queue\InteractsWithQueue;

/**
 * The drills' job: its effect is a row. With `seconds` it works that long first.
 */
final class RecordValue implements ShouldQueue
{
    use Dispatchable;
    use InteractsWithQueue;
    use Queueable;

    public function __construct(private readonly string $value, private readonly float $seconds = 0.0)
    {
    }

    public function handle(): void
    {
        Ledger::started($this->value);
        usleep((int) ($this->seconds * 1_000_000));
        Ledger::done($this->value);
    }
}
