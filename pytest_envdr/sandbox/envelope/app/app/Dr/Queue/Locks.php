<?php

declare(strict_types=1);

namespace App\Dr\Queue;

use App\Jobs\UniqueMarkedJob;
use Illuminate\Cache\RedisStore;
use Illuminate\Support\Facades\Cache;
use Illuminate\Support\Facades\DB;
use RuntimeException;
use stdClass;

/**
 * The locks of an exercise's unique jobs. One that is left behind has new jobs skipped without a word.
 */
final class Locks
{
    /**
     * Those that are held. `ttl` is -1 where a lock never ends.
     *
     * @return list<array{key: string, lock: string, ids: list<string>, ttl: int}>
     */
    public static function held(string $exercise): array
    {
        $held = [];
        foreach (self::names($exercise) as $lock => $ids) {
            $connection = self::store()->lockConnection();
            $name = self::store()->getPrefix() . UniqueMarkedJob::lockName((string) $lock);
            $ttl = (int) $connection->ttl($name);
            // -2: there is none.
            if ($ttl > -2) {
                $key = $connection->client()->_prefix($name);
                $held[] = ['key' => $key, 'lock' => (string) $lock, 'ids' => $ids, 'ttl' => $ttl];
            }
        }

        return $held;
    }

    public static function release(string $exercise): int
    {
        $held = self::held($exercise);
        foreach ($held as $lock) {
            Cache::lock(UniqueMarkedJob::lockName($lock['lock']))->forceRelease();
        }

        return count($held);
    }

    /**
     * @return array<string, list<string>>
     */
    private static function names(string $exercise): array
    {
        return DB::table('dr_outbox')->where('exercise', $exercise)->where('kind', 'unique')->orderBy('id')->get()
            ->groupBy(static fn (stdClass $row): string => json_decode($row->orders, true)['lock'] ?? $row->business_id)
            ->map(static fn ($rows): array => $rows->pluck('business_id')->all())
            ->all();
    }

    private static function store(): RedisStore
    {
        $store = Cache::getStore();
        if (!$store instanceof RedisStore) {
            throw new RuntimeException('the cache is not Redis: its locks are not known');
        }

        return $store;
    }
}
