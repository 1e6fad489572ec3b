<?php

declare(strict_types=1);

return [
    'default' => env('QUEUE_CONNECTION', 'redis'),
    'connections' => [
        'sync' => ['driver' => 'sync'],
        'redis' => [
            'driver' => 'redis',
            'connection' => 'default',
            'queue' => env('REDIS_QUEUE', 'default'),
            'retry_after' => (int) env('QUEUE_RETRY_AFTER', 90),
            'block_for' => null,
            'after_commit' => false,
        ],
        'sqs' => [
            'driver' => 'sqs',
            // Null: AWS itself.
            'endpoint' => env('AWS_ENDPOINT_URL'),
            'region' => env('AWS_REGION', 'eu-west-1'),
            'prefix' => env('SQS_PREFIX', ''),
            'queue' => env('SQS_QUEUE', 'default'),
            // How long the queue's counts may be wrong: they are "eventually consistent", within a minute as a rule.
            'counts_settle' => (float) env('SQS_COUNTS_SETTLE', 60),
            'after_commit' => false,
        ],
    ],
    'failed' => [
        'driver' => 'database-uuids',
        'database' => 'central',
        'table' => 'failed_jobs',
    ],
];
