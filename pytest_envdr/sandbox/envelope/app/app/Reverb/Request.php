<?php

declare(strict_types=1);

namespace App\Reverb;

/**
 * The head of an HTTP request.
 */
final class Request
{
    /**
     * @param array<string, string> $headers by lower-case name
     */
    private function __construct(
        public readonly string $method,
        public readonly string $target,
        private readonly array $headers,
    ) {
    }

    public static function parse(string $head): self
    {
        $lines = explode("\r\n", $head);
        [$method, $target] = array_pad(explode(' ', $lines[0]), 2, '');
        $headers = [];
        foreach (array_slice($lines, 1) as $line) {
            [$name, $value] = array_pad(explode(':', $line, 2), 2, '');
            $headers[strtolower(trim($name))] = trim($value);
        }

        return new self($method, $target, $headers);
    }

    public function path(): string
    {
        return explode('?', $this->target, 2)[0];
    }

    public function asks(string $query): bool
    {
        return in_array($query, explode('&', explode('?', $this->target, 2)[1] ?? ''), true);
    }

    public function header(string $name): string
    {
        return $this->headers[$name] ?? '';
    }
}
