<?php

declare(strict_types=1);

namespace App\Jobs;

use App\Dr\Queue\Order;
use App\Dr\Queue\Runs;
use Illuminate\Bus\Queueable;
use Illuminate\Contracts\Queue\ShouldQueue;
use Illuminate\Queue\InteractsWithQueue;
use RuntimeException;

/**
 * A job of an exercise. It bears an id of the business's own, since the queue's may change: Horizon's retry gives a new
 * one.
 */
class MarkedJob implements ShouldQueue
{
    use InteractsWithQueue;
    use Queueable;

    /** @var int|null */
    public $tries;

    /** @var int|null */
    public $timeout;

    public function __construct(
        public readonly string $exercise,
        public readonly string $businessId,
        private readonly float $seconds,
        private readonly int $fails,
        public readonly ?string $tenant,
    ) {
    }

    public static function of(string $exercise, string $businessId, Order $order): self
    {
        $job = $order->kind === 'unique'
            ? new UniqueMarkedJob($exercise, $businessId, $order->seconds, $order->fails, $order->tenant)
            : new self($exercise, $businessId, $order->seconds, $order->fails, $order->tenant);
        if ($job instanceof UniqueMarkedJob) {
            $job->uniqueFor = $order->uniqueFor;
            $job->lock = $order->lock ?? $businessId;
        }
        $job->tries = $order->tries;
        $job->timeout = $order->timeout;

        return $order->delay > 0 ? $job->delay($order->delay) : $job;
    }

    /**
     * What stands in the job's payload, so that whoever looks at a queue can tell whose it is.
     *
     * @return array{exercise: string, id: string}
     */
    public function mark(): array
    {
        return ['exercise' => $this->exercise, 'id' => $this->businessId];
    }

    /**
     * One that was forgotten meanwhile does nothing, and is done.
     */
    public function handle(): void
    {
        $run = Runs::start($this, (string) $this->job?->uuid(), $this->attempts());
        if ($run === null) {
            return;
        }
        $this->work();
        if (Runs::fails($this->businessId, $this->fails)) {
            if (!Runs::end($run, Runs::FAILED)) {
                return;
            }
            throw new RuntimeException("the marked job {$this->businessId} fails, as was ordered");
        }
        Runs::apply($run, $this);
    }

    /**
     * A signal ends a sleep, but not the job: a worker that is told to stop does its job to the end.
     */
    private function work(): void
    {
        $end = microtime(true) + $this->seconds;
        while (($left = $end - microtime(true)) > 0) {
            usleep((int) ceil($left * 1_000_000));
        }
    }
}
