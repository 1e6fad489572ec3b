<?php

declare(strict_types=1);

return [
    'name' => env('APP_NAME', 'Envelope'),
    'env' => env('APP_ENV', 'production'),
    'debug' => (bool) env('APP_DEBUG', false),
    'url' => env('APP_URL', 'http://envelope.test'),
    'timezone' => 'UTC',
    'locale' => 'en',
    'fallback_locale' => 'en',
    'key' => env('APP_KEY'),
    'cipher' => 'AES-256-CBC',

    // Which version of the application this image is.
    'version' => trim((string) file_get_contents(dirname(__DIR__) . '/VERSION')),
    // Which of the services this task is: api, worker, scheduler, reverb, tenant or hq.
    'service' => env('APP_SERVICE', 'api'),
    // The task's own address; it stands for the task wherever one is named.
    'task' => env('TASK_IP', '127.0.0.1'),
    'port' => (int) env('PORT', 8000),
    // `ignore`: this container serves whether or not the stack is in maintenance.
    'heeds_maintenance' => env('APP_MAINTENANCE', 'heed') !== 'ignore',
    'heartbeat_seconds' => (float) env('HEARTBEAT_SECONDS', 1),

    'providers' => [
        Illuminate\Bus\BusServiceProvider::class,
        Illuminate\Cache\CacheServiceProvider::class,
        Illuminate\Foundation\Providers\ConsoleSupportServiceProvider::class,
        Illuminate\Database\DatabaseServiceProvider::class,
        Illuminate\Encryption\EncryptionServiceProvider::class,
        Illuminate\Filesystem\FilesystemServiceProvider::class,
        Illuminate\Redis\RedisServiceProvider::class,
        Illuminate\Translation\TranslationServiceProvider::class,
        Illuminate\View\ViewServiceProvider::class,
        App\Providers\AppServiceProvider::class,
        App\Providers\QueueServiceProvider::class,
        App\Providers\RouteServiceProvider::class,
    ],

    'aliases' => [],
];
