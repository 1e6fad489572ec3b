<?php

declare(strict_types=1);

namespace App\Queue;

use Illuminate\Queue\WorkerOptions;

/**
 * What settings the workers run with: each notes its own, since they stand on its command line.
 */
final class Workers
{
    private const DIRECTORY = 'workers';
    /** A worker's loop beats more often than that. */
    private const ALIVE_SECONDS = 10;

    private static bool $noted = false;

    public static function note(WorkerOptions $options, string $connection, string $queue): void
    {
        if (self::$noted) {
            return;
        }
        $row = [
            'task' => config('app.task'),
            'connection' => $connection,
            'queue' => $queue,
            'tries' => (int) $options->maxTries,
            'timeout' => (int) $options->timeout,
            'sleep' => (float) $options->sleep,
            'backoff' => (string) $options->backoff,
            'retry_after' => config("queue.connections.{$connection}.retry_after"),
        ];
        self::$noted = file_put_contents(self::file($row['task']), json_encode($row)) !== false;
    }

    /**
     * @return list<array<string, mixed>>
     */
    public static function alive(): array
    {
        $rows = [];
        foreach (glob(self::file('*')) ?: [] as $file) {
            $task = basename($file, '.json');
            $beat = @filemtime(storage_path("alive/{$task}"));
            $row = json_decode((string) file_get_contents($file), true);
            if (is_array($row) && $beat !== false && $beat >= time() - self::ALIVE_SECONDS) {
                $rows[] = $row;
            }
        }

        return $rows;
    }

    private static function file(string $task): string
    {
        return storage_path(self::DIRECTORY . "/{$task}.json");
    }
}
