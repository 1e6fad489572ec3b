<?php

declare(strict_types=1);

namespace App\Dr\Queue;

use Illuminate\Queue\RedisQueue;
use Illuminate\Redis\Connections\Connection;
use InvalidArgumentException;

/**
 * Redis: the places are keys that can be read, and an exercise's jobs taken out one by one.
 */
final class RedisPlaces extends Places
{
    private const PAGE = 1_000;
    private const SCORED = ['delayed', 'reserved'];

    private readonly Connection $redis;
    private readonly string $key;

    public function __construct(RedisQueue $queue)
    {
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
            'failed' => FailedJobs::count(),
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

        return $own + ['failed' => FailedJobs::own($exercise)];
    }

    /**
     * @param array<string, list<array<string, mixed>>> $own
     * @return array<string, int>
     */
    public function remove(string $exercise, array $own): array
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
     * @return list<string>
     */
    public function redrive(string $exercise): array
    {
        throw new InvalidArgumentException('a queue in Redis has no dead-letter queue');
    }

    /**
     * @return array<string, mixed>
     */
    public function cache(): array
    {
        // ElastiCache refuses CONFIG; INFO has the same.
        $wanted = ['run_id', 'role', 'uptime_in_seconds', 'maxmemory_policy', 'aof_enabled', 'evicted_keys'];

        $info = $this->redis->info();
        $keyspace = array_filter($info, static fn (string $name): bool => preg_match('/^db\d+$/', $name) === 1, ARRAY_FILTER_USE_KEY);

        return array_intersect_key($info, array_flip($wanted)) + ['keyspace' => (object) $keyspace];
    }

    public function settings(): ?array
    {
        return null;
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

        return $removed + ['failed' => FailedJobs::remove($exercise)];
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
}
