<?php

declare(strict_types=1);

namespace App\Providers;

use App\Database\MySqlConnector;
use App\Monitoring\Metrics;
use App\Monitoring\Pulse;
use Illuminate\Contracts\Foundation\Application;
use Illuminate\Support\ServiceProvider;

final class AppServiceProvider extends ServiceProvider
{
    public function register(): void
    {
        $this->app->bind('db.connector.mysql', MySqlConnector::class);
        $this->app->singleton(Metrics::class, static fn (): Metrics => new Metrics(fopen('php://stdout', 'wb')));
        $this->app->singleton(Pulse::class, static fn (Application $app): Pulse => new Pulse(
            $app->storagePath() . '/alive/' . config('app.task'),
        ));
    }
}
