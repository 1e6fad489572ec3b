<?php

declare(strict_types=1);

namespace App\Aws;

/**
 * What AWS answered. `code` is its word for what is wrong ("NoSuchBucket"), "" where nothing is.
 */
final class Answer
{
    public function __construct(public readonly int $status, public readonly string $body)
    {
    }

    public function well(): bool
    {
        return $this->status < 300;
    }

    public function code(): string
    {
        if ($this->well()) {
            return '';
        }
        $told = json_decode($this->body, true);
        if (is_array($told)) {
            return (string) preg_replace('/^.*#/', '', (string) ($told['__type'] ?? ''));
        }

        return preg_match('~<Code>([^<]+)</Code>~', $this->body, $found) === 1 ? $found[1] : "HTTP {$this->status}";
    }
}
