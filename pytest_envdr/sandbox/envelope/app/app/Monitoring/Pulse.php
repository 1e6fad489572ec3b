<?php

declare(strict_types=1);

namespace App\Monitoring;

/**
 * The sign of life of a task without a port: the age of a file, read by `bin/alive`.
 */
final class Pulse
{
    public function __construct(private readonly string $file)
    {
    }

    public function beat(): void
    {
        touch($this->file);
    }

    /**
     * The next beat comes after a piece of work that may take this many seconds.
     */
    public function beatWithin(int $seconds): void
    {
        touch($this->file, time() + $seconds);
    }
}
