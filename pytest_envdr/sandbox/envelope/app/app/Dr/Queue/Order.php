<?php

declare(strict_types=1);

namespace App\Dr\Queue;

use InvalidArgumentException;

/**
 * What a marked job is to do: an exercise orders so many of a kind.
 */
final class Order
{
    public const KINDS = ['works', 'fails', 'delayed', 'unique', 'slow'];
    /** `fails` of this many: it never works. */
    public const ALWAYS = -1;
    private const MOST = 1_000;
    private const WORDS = ['lock', 'tenant'];
    private const NUMBERS = ['seconds', 'fails', 'delay', 'unique_for', 'tries', 'timeout'];
    private const EXERCISE = '/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/';

    private function __construct(
        public readonly string $kind,
        public readonly int $count,
        public readonly float $seconds,
        public readonly int $fails,
        public readonly int $delay,
        public readonly int $uniqueFor,
        public readonly ?int $tries,
        public readonly ?int $timeout,
        public readonly ?string $lock,
        public readonly ?string $tenant,
    ) {
    }

    /**
     * @param array<mixed> $row
     */
    public static function from(array $row): self
    {
        self::check($row);

        return new self(
            $row['kind'],
            (int) ($row['count'] ?? 1),
            (float) ($row['seconds'] ?? 0),
            (int) ($row['fails'] ?? ($row['kind'] === 'fails' ? self::ALWAYS : 0)),
            (int) ($row['delay'] ?? 0),
            (int) ($row['unique_for'] ?? 0),
            isset($row['tries']) ? (int) $row['tries'] : null,
            isset($row['timeout']) ? (int) $row['timeout'] : null,
            $row['lock'] ?? null,
            $row['tenant'] ?? null,
        );
    }

    /**
     * @return list<self>
     */
    public static function list(string $json): array
    {
        $rows = json_decode($json, true);
        if (!is_array($rows) || !array_is_list($rows) || $rows === []) {
            throw new InvalidArgumentException('the orders must be a JSON list of {"kind": ..., "count": ...}');
        }

        return array_map(
            static fn (mixed $row): self => self::from(is_array($row) ? $row : []),
            $rows,
        );
    }

    public static function exercise(mixed $name): string
    {
        if (!is_string($name) || preg_match(self::EXERCISE, $name) !== 1) {
            throw new InvalidArgumentException('an exercise has 1 to 64 letters, digits, dots, hyphens or underscores');
        }

        return $name;
    }

    public function json(): string
    {
        $row = [
            'kind' => $this->kind,
            'seconds' => $this->seconds,
            'fails' => $this->fails,
            'delay' => $this->delay,
            'unique_for' => $this->uniqueFor,
            'tries' => $this->tries,
            'timeout' => $this->timeout,
            'lock' => $this->lock,
            'tenant' => $this->tenant,
        ];

        return (string) json_encode($row, JSON_PRESERVE_ZERO_FRACTION);
    }

    /**
     * @param array<mixed> $row
     */
    private static function check(array $row): void
    {
        $unknown = array_diff(array_keys($row), ['kind', 'count', ...self::WORDS, ...self::NUMBERS]);
        if ($unknown !== []) {
            throw new InvalidArgumentException('an order has no ' . implode(', ', $unknown));
        }
        if (!in_array($row['kind'] ?? null, self::KINDS, true)) {
            throw new InvalidArgumentException('"kind" must be one of ' . implode(', ', self::KINDS));
        }
        $count = $row['count'] ?? 1;
        if (!is_int($count) || $count < 1 || $count > self::MOST) {
            throw new InvalidArgumentException('"count" must be a number from 1 to ' . self::MOST);
        }
        foreach (self::NUMBERS as $name) {
            $least = $name === 'fails' ? self::ALWAYS : 0;
            $value = $row[$name] ?? null;
            if ($value !== null && ((!is_int($value) && !is_float($value)) || $value < $least)) {
                throw new InvalidArgumentException("\"{$name}\" must be a number, {$least} or more");
            }
        }
        foreach (self::WORDS as $name) {
            if (isset($row[$name]) && !is_string($row[$name])) {
                throw new InvalidArgumentException("\"{$name}\" must be a string");
            }
        }
    }
}
