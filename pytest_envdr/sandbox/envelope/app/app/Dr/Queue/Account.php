<?php

declare(strict_types=1);

namespace App\Dr\Queue;

use App\Queue\Workers;
use Illuminate\Support\Facades\Cache;
use Illuminate\Support\Facades\DB;
use stdClass;

/**
 * What the commands and the page tell of the queue and of an exercise's jobs. Times are Unix seconds.
 */
final class Account
{
    /**
     * @return array<string, mixed>
     */
    public static function queue(string $exercise): array
    {
        $places = Places::inUse();
        $connection = config('queue.default');
        $row = config("queue.connections.{$connection}");

        return [
            'at' => microtime(true),
            'connection' => $connection,
            'queue' => $row['queue'],
            'keys' => $places->keys(),
            'counts' => $places->counts(),
            'own' => $places->own($exercise),
            'foreign_failed' => FailedJobs::foreign($exercise),
            'locks' => Locks::held($exercise),
            'paused' => (bool) Cache::get("illuminate:queue:paused:{$connection}:{$row['queue']}", false),
            'maintenance' => app()->isDownForMaintenance(),
            'workers' => Workers::alive(),
            'cache' => $places->cache(),
            'message_queue' => $places->settings(),
        ];
    }

    /**
     * @return array{outbox: list<array<string, mixed>>, runs: list<array<string, mixed>>, ...}
     */
    public static function ledger(string $exercise): array
    {
        return [
            'outbox' => self::rows('dr_outbox', $exercise, ['kind', 'orders', 'uuid', 'dispatches'], ['dispatched_at']),
            'runs' => self::rows(
                'dr_runs',
                $exercise,
                ['dr_runs.id AS run', 'uuid', 'attempt', 'worker', 'outcome'],
                ['started_at', 'finished_at'],
            ),
            'effects' => self::rows('dr_effects', $exercise, ['run_id AS run', 'tenant'], ['applied_at']),
        ];
    }

    /**
     * First what was to be done, so that no job that is running meanwhile has an effect; then the jobs and their locks.
     *
     * @return array<string, int>
     */
    public static function forget(string $exercise): array
    {
        $places = Places::inUse();
        $own = $places->own($exercise);
        // The names of the locks stand in the outbox.
        $locks = Locks::release($exercise);
        $rows = DB::transaction(static function () use ($exercise): array {
            $tables = ['outbox' => 'dr_outbox', 'runs' => 'dr_runs', 'effects' => 'dr_effects'];

            return array_map(
                static fn (string $table): int => DB::table($table)->where('exercise', $exercise)->delete(),
                $tables,
            );
        });

        return $rows + $places->remove($exercise, $own) + ['locks' => $locks];
    }

    /**
     * @param list<string> $columns
     * @param list<string> $times
     * @return list<array<string, mixed>>
     */
    private static function rows(string $table, string $exercise, array $columns, array $times): array
    {
        foreach ($times as $time) {
            $columns[] = DB::raw("UNIX_TIMESTAMP({$time}) AS {$time}");
        }

        // Qualified: the alias `id` is text, and would be ordered as text.
        return DB::table($table)->where('exercise', $exercise)->orderBy("{$table}.id")
            ->get(['business_id AS id', ...$columns])
            ->map(static fn (stdClass $row): array => self::typed((array) $row, $times))->all();
    }

    /**
     * @param array<string, mixed> $row
     * @param list<string> $times
     * @return array<string, mixed>
     */
    private static function typed(array $row, array $times): array
    {
        foreach ($times as $time) {
            $row[$time] = $row[$time] === null ? null : (float) $row[$time];
        }
        if (isset($row['orders'])) {
            $row['orders'] = json_decode($row['orders'], true);
        }

        return $row;
    }
}
