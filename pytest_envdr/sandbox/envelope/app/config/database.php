<?php

declare(strict_types=1);

use Illuminate\Support\Str;

$mysql = static fn (string $database): array => [
    'driver' => 'mysql',
    'host' => env('DB_HOST', '127.0.0.1'),
    'port' => env('DB_PORT', '3306'),
    'database' => $database,
    'username' => env('DB_USERNAME', 'envelope'),
    'password' => env('DB_PASSWORD', ''),
    'charset' => 'utf8mb4',
    'collation' => 'utf8mb4_unicode_ci',
    'prefix' => '',
    'strict' => true,
    'timezone' => '+00:00',
    'options' => [PDO::ATTR_TIMEOUT => 2],
];

$redis = static fn (int $database): array => [
    'host' => env('REDIS_HOST', '127.0.0.1'),
    'port' => env('REDIS_PORT', '6379'),
    'database' => $database,
    'timeout' => 2,
    'read_timeout' => 5,
];

return [
    'default' => 'central',
    // What the metrics name the database by.
    'instance' => env('DB_INSTANCE', 'envelope-prod-db'),
    'connections' => [
        'central' => $mysql(env('DB_DATABASE', 'central')),
        // Its database is set for each request: see App\Tenancy\Tenants.
        'tenant' => $mysql(''),
    ],
    'migrations' => 'migrations',
    'redis' => [
        'client' => 'phpredis',
        'options' => ['prefix' => Str::slug((string) env('APP_NAME', 'Envelope'), '_') . '_database_'],
        'default' => $redis(0),
        'cache' => $redis(1),
    ],
];
