<?php

declare(strict_types=1);

namespace App\Dr\Queue;

use App\Queue\SqsQueue;
use Illuminate\Queue\RedisQueue;
use Illuminate\Support\Facades\Queue;
use RuntimeException;

/**
 * Where a job may be: pending, delayed, reserved, failed; with SQS also dead. Only those of an exercise are ever removed.
 */
abstract class Places
{
    /**
     * Those of the queue connection in use.
     */
    public static function inUse(): self
    {
        $queue = Queue::connection();

        return match (true) {
            $queue instanceof RedisQueue => new RedisPlaces($queue),
            $queue instanceof SqsQueue => new SqsPlaces($queue),
            default => throw new RuntimeException('the queue is neither in Redis nor in SQS: its places are not known'),
        };
    }

    /**
     * Place to name, as whoever looks at the queue from outside finds it.
     *
     * @return array<string, string>
     */
    abstract public function keys(): array;

    /**
     * Jobs in each place, whosever they are.
     *
     * @return array<string, int>
     */
    abstract public function counts(): array;

    /**
     * An exercise's jobs.
     *
     * @return array<string, list<array<string, mixed>>>
     */
    abstract public function own(string $exercise): array;

    /**
     * Takes an exercise's jobs out of all places, its rows being gone; says how many from which.
     *
     * @param array<string, list<array<string, mixed>>> $own What `own` told before the rows were gone.
     * @return array<string, int>
     */
    abstract public function remove(string $exercise, array $own): array;

    /**
     * Puts an exercise's dead jobs back into the queue; their ids.
     *
     * @return list<string>
     */
    abstract public function redrive(string $exercise): array;

    /**
     * What the cache says of itself that the queue is in; none where it is in none.
     *
     * @return array<string, mixed>
     */
    abstract public function cache(): array;

    /**
     * What the queue itself is set to, where that is not for the application to say.
     *
     * @return array<string, mixed>|null
     */
    abstract public function settings(): ?array;

    /**
     * A payload's job, where it is the exercise's.
     *
     * @return array{id: string, uuid: string|null, attempts: int}|null
     */
    final protected static function job(string $payload, string $exercise): ?array
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
}
