<?php

declare(strict_types=1);

namespace App\Queue;

use App\Dr\Queue\Outbox;
use App\Dr\Queue\SqsPlaces;
use Illuminate\Contracts\Queue\Job;
use Illuminate\Queue\SqsQueue as FrameworkQueue;
use Throwable;

/**
 * The framework's own, that drops jobs of an exercise which has been forgotten: SQS lets nobody take out a message that
 * he has not received, and receiving those of others to find it would count as an attempt of theirs.
 */
final class SqsQueue extends FrameworkQueue
{
    /**
     * @param string|null $queue
     */
    public function pop($queue = null): ?Job
    {
        while (($job = parent::pop($queue)) !== null && self::isForgotten($job)) {
            $job->delete();
        }

        return $job;
    }

    /**
     * @param string $payload
     * @param string|null $queue
     * @param array<string, mixed> $options
     */
    public function pushRaw($payload, $queue = null, array $options = []): string
    {
        $id = parent::pushRaw($payload, $queue, $options);
        SqsPlaces::sent((string) $payload);

        return $id;
    }

    private static function isForgotten(Job $job): bool
    {
        try {
            return Outbox::forgot($job->payload());
        } catch (Throwable) {
            // With the database away nothing is known to be forgotten.
            return false;
        }
    }
}
