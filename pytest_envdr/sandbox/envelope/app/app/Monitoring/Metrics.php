<?php

declare(strict_types=1);

namespace App\Monitoring;

/**
 * CloudWatch metrics as log lines in the Embedded Metric Format: one line for each set of dimensions, at most
 * every half second.
 *
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 */
final class Metrics
{
    private const NAMESPACE = 'Envelope';
    private const SECONDS_BETWEEN_LINES = 0.5;

    /** @var array<string, array{dimensions: array<string, string>, counts: array<string, int>}> */
    private array $pending = [];
    private float $flushedAt = 0.0;

    /**
     * @param resource $output
     */
    public function __construct(private readonly mixed $output)
    {
    }

    /**
     * Count something; `flush` brings it out.
     *
     * @param array<string, string> $dimensions
     */
    public function add(array $dimensions, string $name, int $count = 1): void
    {
        $key = implode("\0", $dimensions);
        $this->pending[$key]['dimensions'] = $dimensions;
        $this->pending[$key]['counts'][$name] = ($this->pending[$key]['counts'][$name] ?? 0) + $count;
    }

    public function flush(): void
    {
        if (microtime(true) - $this->flushedAt < self::SECONDS_BETWEEN_LINES) {
            return;
        }
        foreach ($this->pending as ['dimensions' => $dimensions, 'counts' => $counts]) {
            fwrite($this->output, self::line($dimensions, $counts) . "\n");
        }
        $this->pending = [];
        $this->flushedAt = microtime(true);
    }

    /**
     * @param array<string, string> $dimensions
     * @param array<string, int> $counts
     */
    private static function line(array $dimensions, array $counts): string
    {
        $metric = static fn (string $name): array => [
            'Name' => $name,
            'Unit' => 'Count',
            'StorageResolution' => 1,
        ];

        return json_encode([
            '_aws' => [
                'Timestamp' => (int) (microtime(true) * 1000),
                'CloudWatchMetrics' => [[
                    'Namespace' => self::NAMESPACE,
                    'Dimensions' => [array_keys($dimensions)],
                    'Metrics' => array_map($metric, array_keys($counts)),
                ]],
            ],
        ] + $dimensions + $counts, JSON_THROW_ON_ERROR);
    }
}
