<?php

declare(strict_types=1);

namespace App\Console\Commands;

use App\Dr\Heartbeat;
use App\Monitoring\Metrics;
use App\Monitoring\Pulse;
use Illuminate\Console\Command;
use Illuminate\Support\Facades\DB;
use Illuminate\Support\Facades\Log;
use Throwable;

/**
 * The scheduler's work: a heartbeat every HEARTBEAT_SECONDS until SIGTERM.
 */
final class HeartbeatCommand extends Command
{
    private const RETRY_SECONDS = 0.25;

    /** @var string */
    protected $signature = 'envelope:heartbeat {--once : Write one heartbeat and end}';

    /** @var string */
    protected $description = 'Write numbered heartbeat rows into the central and every tenant database';

    private bool $running = true;

    public function handle(Pulse $pulse, Metrics $metrics): int
    {
        $this->stopOnSignal();
        $this->waitShortlyForLocks();
        do {
            $startedAt = hrtime(true);
            $pulse->beat();
            $written = $this->tick();
            $this->count($metrics, $written);
            $this->sleepUntil($startedAt, $written ? config('app.heartbeat_seconds') : self::RETRY_SECONDS);
        } while ($this->running && !$this->option('once'));

        return $written ? self::SUCCESS : self::FAILURE;
    }

    /**
     * A database that is away is waited for: the next tick connects anew.
     */
    private function tick(): bool
    {
        try {
            $sequence = Heartbeat::write();
            Heartbeat::prune($sequence);
        } catch (Throwable $error) {
            Log::error("no heartbeat: {$error->getMessage()}");
            DB::purge();

            return false;
        }

        return true;
    }

    private function waitShortlyForLocks(): void
    {
        config(['database.connections.central.options' => [
            \PDO::ATTR_TIMEOUT => 2,
            \PDO::MYSQL_ATTR_INIT_COMMAND => 'SET lock_wait_timeout = 2, innodb_lock_wait_timeout = 2',
        ]]);
    }

    private function count(Metrics $metrics, bool $written): void
    {
        $metrics->add(['Service' => 'scheduler'], 'HeartbeatsWritten', (int) $written);
        $metrics->add(
            ['DBInstanceIdentifier' => config('database.instance')],
            'DatabaseHeartbeats',
            (int) $written,
        );
        $metrics->flush();
    }

    private function sleepUntil(int $startedAt, float $seconds): void
    {
        $left = $seconds - (hrtime(true) - $startedAt) / 1e9;
        if ($left > 0 && $this->running && !$this->option('once')) {
            usleep((int) ($left * 1_000_000));
        }
    }

    private function stopOnSignal(): void
    {
        pcntl_async_signals(true);
        foreach ([SIGTERM, SIGINT] as $signal) {
            pcntl_signal($signal, function (): void {
                $this->running = false;
            });
        }
    }
}
