<?php

declare(strict_types=1);

namespace App\Reverb;

use RuntimeException;

/**
 * One loop over all connections.
 */
final class Server
{
    private const IDLE_SECONDS = 120;

    private bool $running = true;
    /** @var array<int, Connection> */
    private array $connections = [];

    /**
     * @param resource $listener
     */
    private function __construct(private readonly mixed $listener)
    {
    }

    public static function listen(string $address, int $port): self
    {
        $listener = @stream_socket_server("tcp://{$address}:{$port}", $code, $reason);
        if ($listener === false) {
            throw new RuntimeException("Cannot listen at {$address}:{$port}: {$reason}");
        }
        stream_set_blocking($listener, false);

        return new self($listener);
    }

    public function stop(): void
    {
        $this->running = false;
    }

    public function run(): void
    {
        while ($this->running) {
            $this->turn();
        }
        foreach ($this->connections as $connection) {
            $connection->goAway();
        }
    }

    private function turn(): void
    {
        $readable = [$this->listener, ...array_map(static fn (Connection $c): mixed => $c->socket, $this->connections)];
        $pending = array_filter($this->connections, static fn (Connection $c): bool => $c->hasOutput());
        $writable = array_map(static fn (Connection $c): mixed => $c->socket, $pending);
        $except = null;
        // A signal ends the wait early, which PHP reports as a failure.
        if (@stream_select($readable, $writable, $except, 1) === false) {
            return;
        }
        foreach ($readable as $socket) {
            $socket === $this->listener ? $this->accept() : $this->connections[(int) $socket]->read();
        }
        foreach ($this->connections as $connection) {
            $connection->write();
        }
        $this->forgetClosed();
    }

    private function accept(): void
    {
        $socket = @stream_socket_accept($this->listener, 0);
        if ($socket !== false) {
            stream_set_blocking($socket, false);
            $this->connections[(int) $socket] = new Connection($socket);
        }
    }

    private function forgetClosed(): void
    {
        foreach ($this->connections as $id => $connection) {
            if ($connection->isClosed() || $connection->idleSeconds() > self::IDLE_SECONDS) {
                fclose($connection->socket);
                unset($this->connections[$id]);
            }
        }
    }
}
