<?php

declare(strict_types=1);

namespace App\Dr;

use Illuminate\Support\Facades\DB;

/**
 * Keeps a table of the drills from growing for ever.
 */
final class Table
{
    private const KEPT = 10_000;
    private const EVERY = 500;

    public static function isDue(int $newest): bool
    {
        return $newest % self::EVERY === 0;
    }

    /**
     * Called after a row was written: drops all but the newest rows, once in a while.
     */
    public static function prune(string $table, string $column, int $newest): void
    {
        if (self::isDue($newest)) {
            DB::table($table)->where($column, '<=', $newest - self::KEPT)->delete();
        }
    }
}
