<?php

declare(strict_types=1);

return [
    'region' => env('AWS_REGION', 'eu-west-1'),
    // Null: AWS itself.
    'endpoint' => env('AWS_ENDPOINT_URL'),
    'key' => env('AWS_ACCESS_KEY_ID', ''),
    'secret' => env('AWS_SECRET_ACCESS_KEY', ''),
    'token' => env('AWS_SESSION_TOKEN'),
    // How long a request may take: one process answers all of a task's pages.
    'seconds' => 2.0,
    // Whose the tenants' buckets must be; "" for anybody's.
    'account' => (string) env('AWS_ACCOUNT_ID', ''),
    // Where it is told that there is a new tenant; "" for nowhere.
    'event_bus' => env('EVENT_BUS', ''),
    'bucket_prefix' => env('TENANT_BUCKET_PREFIX', 'envelope-prod-tenant-'),
];
