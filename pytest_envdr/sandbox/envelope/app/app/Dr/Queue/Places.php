<?php

declare(strict_types=1);

namespace App\Dr\Queue;

use Illuminate\Database\Query\Builder;
use Illuminate\Queue\RedisQueue;
use Illuminate\Redis\Connections\Connection;
use Illuminate\Support\Facades\DB;
use Illuminate\Support\Facades\Queue;
use RuntimeException;
use stdClass;

/**
 * The four places where a job may be: pending, delayed, reserved, failed. Only those of an exercise are ever removed.
 */
final class Places
{
    private const PAGE = 1_000;
    private const SCORED = ['delayed', 'reserved'];

    private readonly Connection $redis;
    private readonly string $key;

    public function __construct()
    {
        $queue = Queue::connection();
        if (!$queue instanceof RedisQueue) {
            throw new RuntimeException('the queue connection is not Redis: its places are not known');
        }
        $this->redis = $queue->getConnection();
        $this->key = $queue->getQueue(null);
    }

    /**
     * The names as they stand in Redis, prefix and all.
     *
     * @return array<string, string>
     */
    public function keys(): array
    {
        $names = ['pending' => $this->key];
        foreach ([...self::SCORED, 'notify'] as $place) {
            $names[$place] = "{$this->key}:{$place}";
        }

        return array_map(fn (string $name): string => $this->redis->client()->_prefix($name), $names);
    }

    /**
     * @return array{pending: int, delayed: int, reserved: int, failed: int}
     */
    public function counts(): array
    {
        return [
            'pending' => (int) $this->redis->llen($this->key),
            'delayed' => (int) $this->redis->zcard("{$this->key}:delayed"),
            'reserved' => (int) $this->redis->zcard("{$this->key}:reserved"),
            'failed' => DB::table('failed_jobs')->count(),
        ];
    }

    /**
     * An exercise's jobs. Read in the order in which a worker moves them, so that one that moves is seen twice, not
     * missed.
     *
     * @return array{pending: list<array<string, mixed>>, delayed: list<array<string, mixed>>, ...}
     */
    public function own(string $exercise): array
    {
        $own = ['pending' => array_column($this->pending($exercise), 1)];
        foreach (self::SCORED as $place) {
            $own[$place] = array_column($this->scored($place, $exercise), 1);
        }
        $own['failed'] = self::failed($exercise)->orderBy('id')->get(['uuid', 'payload', 'exception', 'failed_at'])
            ->map(static fn (stdClass $row): array => self::failure($row))->all();

        return $own;
    }

    /**
     * Those that failed for reasons of their own: nobody's exercise may touch them.
     *
     * @return array{count: int, digest: string, uuids: list<string>}
     */
    public static function foreign(string $exercise): array
    {
        $uuids = self::marked(DB::table('failed_jobs'), '<>', $exercise)->orderBy('id')->pluck('uuid')->all();

        return [
            'count' => count($uuids),
            'digest' => hash('sha256', implode("\n", $uuids)),
            'uuids' => array_slice($uuids, 0, self::PAGE),
        ];
    }

    /**
     * Takes an exercise's jobs out of all places; says how many from which.
     *
     * @return array<string, int>
     */
    public function remove(string $exercise): array
    {
        $removed = ['pending' => 0, 'delayed' => 0, 'reserved' => 0, 'failed' => 0];
        do {
            $pass = $this->pass($exercise);
            foreach ($pass as $place => $count) {
                $removed[$place] += $count;
            }
        } while (array_sum($pass) > 0);

        return $removed;
    }

    /**
     * One that a worker moves meanwhile is found by the next pass.
     *
     * @return array<string, int>
     */
    private function pass(string $exercise): array
    {
        $removed = ['pending' => 0, 'delayed' => 0, 'reserved' => 0];
        foreach ($this->pending($exercise) as [$payload]) {
            $count = (int) $this->redis->lrem($this->key, 1, $payload);
            $removed['pending'] += $count;
            if ($count > 0) {
                $this->redis->lpop("{$this->key}:notify");
            }
        }
        foreach (self::SCORED as $place) {
            foreach ($this->scored($place, $exercise) as [$payload]) {
                $removed[$place] += (int) $this->redis->zrem("{$this->key}:{$place}", $payload);
            }
        }

        return $removed + ['failed' => self::failed($exercise)->delete()];
    }

    /**
     * @return list<array{0: string, 1: array<string, mixed>}>
     */
    private function pending(string $exercise): array
    {
        $found = [];
        for ($start = 0; $page = $this->redis->lrange($this->key, $start, $start + self::PAGE - 1); $start += self::PAGE) {
            foreach ($page as $payload) {
                if ($job = self::job($payload, $exercise)) {
                    $found[] = [$payload, $job];
                }
            }
        }

        return $found;
    }

    /**
     * @return list<array{0: string, 1: array<string, mixed>}>
     */
    private function scored(string $place, string $exercise): array
    {
        $found = [];
        $due = $place === 'delayed' ? 'due_at' : 'back_at';
        foreach ($this->redis->zrange("{$this->key}:{$place}", 0, -1, true) as $payload => $score) {
            if ($job = self::job((string) $payload, $exercise)) {
                $found[] = [(string) $payload, $job + [$due => (float) $score]];
            }
        }

        return $found;
    }

    /**
     * @return array{id: string, uuid: string|null, attempts: int}|null
     */
    private static function job(string $payload, string $exercise): ?array
    {
        if (!str_contains($payload, $exercise)) {
            return null;
        }
        $job = json_decode($payload, true);
        if (($job['dr']['exercise'] ?? null) !== $exercise) {
            return null;
        }

        return ['id' => $job['dr']['id'], 'uuid' => $job['uuid'] ?? null, 'attempts' => (int) ($job['attempts'] ?? 0)];
    }

    /**
     * @return array{id: string, uuid: string, failed_at: float, reason: string}
     */
    private static function failure(stdClass $row): array
    {
        return [
            'id' => json_decode($row->payload, true)['dr']['id'],
            'uuid' => $row->uuid,
            'failed_at' => (float) strtotime("{$row->failed_at} UTC"),
            'reason' => mb_substr(strtok($row->exception, "\n") ?: '', 0, 200),
        ];
    }

    private static function failed(string $exercise): Builder
    {
        return self::marked(DB::table('failed_jobs'), '=', $exercise);
    }

    private static function marked(Builder $jobs, string $operator, string $exercise): Builder
    {
        return $jobs->whereRaw("COALESCE(JSON_VALUE(payload, '$.dr.exercise'), '') {$operator} ?", [$exercise]);
    }
}
