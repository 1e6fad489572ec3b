<?php

declare(strict_types=1);

namespace App\Jobs;

use Illuminate\Contracts\Queue\ShouldBeUnique;

/**
 * A marked job of which one may be queued at a time: its lock outlives a worker that is killed.
 */
final class UniqueMarkedJob extends MarkedJob implements ShouldBeUnique
{
    public int $uniqueFor = 0;
    public string $lock = '';

    public static function lockName(string $lock): string
    {
        return 'laravel_unique_job:' . self::class . $lock;
    }

    public function uniqueId(): string
    {
        return $this->lock;
    }
}
