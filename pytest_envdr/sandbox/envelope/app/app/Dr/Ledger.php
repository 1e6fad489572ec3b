<?php

declare(strict_types=1);

namespace App\Dr;

use Illuminate\Support\Facades\DB;

/**
 * What was dispatched and what was done, kept outside of the queue: a queue that is empty proves nothing.
 */
final class Ledger
{
    public static function dispatched(string $value): void
    {
        DB::table('dr_jobs')->insertOrIgnore(['value' => $value, 'dispatched_at' => self::now()]);
        Table::prune('dr_jobs', 'id', (int) DB::getPdo()->lastInsertId());
    }

    public static function started(string $value): void
    {
        DB::table('dr_jobs')->updateOrInsert(
            ['value' => $value],
            ['started_at' => self::now(), 'worker' => config('app.task'), 'runs' => DB::raw('runs + 1')],
        );
    }

    public static function done(string $value): void
    {
        DB::table('dr_jobs')->where('value', $value)->update(['done_at' => self::now(), 'worker' => config('app.task')]);
    }

    /**
     * @return array{value: string, done_at: float|null, worker: string|null, runs: int}
     */
    public static function entry(string $value): array
    {
        $row = DB::table('dr_jobs')->where('value', $value)
            ->first(['worker', 'runs', DB::raw('UNIX_TIMESTAMP(done_at) AS done_at')]);

        return [
            'value' => $value,
            'done_at' => isset($row->done_at) ? (float) $row->done_at : null,
            'worker' => $row->worker ?? null,
            'runs' => (int) ($row->runs ?? 0),
        ];
    }

    private static function now(): string
    {
        return now()->format('Y-m-d H:i:s.u');
    }
}
