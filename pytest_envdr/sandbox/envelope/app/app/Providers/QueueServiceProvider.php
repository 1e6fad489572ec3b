<?php

declare(strict_types=1);

namespace App\Providers;

use App\Dr\Queue\Outbox;
use App\Jobs\MarkedJob;
use App\Monitoring\Metrics;
use App\Monitoring\Pulse;
use App\Queue\SqsConnector;
use App\Queue\Worker;
use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Contracts\Foundation\Application;
use Illuminate\Queue\Events\JobProcessed;
use Illuminate\Queue\Events\JobProcessing;
use Illuminate\Queue\Queue;
use Illuminate\Queue\QueueServiceProvider as ServiceProvider;

final class QueueServiceProvider extends ServiceProvider
{
    /**
     * A marked job's payload says whose it is, in plain text.
     */
    public function boot(): void
    {
        Queue::createPayloadUsing(static function (?string $connection, ?string $queue, array $payload): array {
            $job = $payload['data']['command'] ?? null;
            if (!$job instanceof MarkedJob) {
                return [];
            }
            Outbox::queued($payload);

            return ['dr' => $job->mark()];
        });
    }

    /**
     * The framework's SQS queue, over the client that Debian packages.
     *
     * @param \Illuminate\Queue\QueueManager $manager
     */
    protected function registerSqsConnector($manager): void
    {
        $manager->addConnector('sqs', static fn (): SqsConnector => new SqsConnector());
    }

    /**
     * The framework's worker, with a pulse.
     */
    protected function registerWorker(): void
    {
        $this->app->singleton('queue.worker', static fn (Application $app): Worker => new Worker(
            $app['queue'],
            $app['events'],
            $app[ExceptionHandler::class],
            static fn (): bool => $app->isDownForMaintenance(),
            static fn () => $app->forgetScopedInstances(),
            static fn () => self::loop($app[Pulse::class], $app[Metrics::class]),
        ));
        $this->registerPulse();
    }

    private function registerPulse(): void
    {
        $this->app['events']->listen(JobProcessing::class, function (JobProcessing $event): void {
            $this->app[Pulse::class]->beatWithin($event->job->timeout() ?? 60);
        });
        $this->app['events']->listen(JobProcessed::class, function (): void {
            $this->app[Metrics::class]->add(['Service' => 'worker'], 'JobsProcessed');
        });
    }

    private static function loop(Pulse $pulse, Metrics $metrics): void
    {
        $pulse->beat();
        $metrics->add(['Service' => 'worker'], 'WorkerLoops');
        $metrics->add(['Service' => 'worker'], 'JobsProcessed', 0);
        $metrics->flush();
    }
}
