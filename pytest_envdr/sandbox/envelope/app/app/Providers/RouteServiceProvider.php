<?php

declare(strict_types=1);

namespace App\Providers;

use Illuminate\Foundation\Support\Providers\RouteServiceProvider as ServiceProvider;
use Illuminate\Support\Facades\Route;

final class RouteServiceProvider extends ServiceProvider
{
    private const SERVICES_WITH_PAGES = ['api', 'tenant', 'hq'];

    /**
     * Each service answers its own pages; health and the probes are everywhere.
     */
    public function boot(): void
    {
        $this->routes(static function (): void {
            Route::group([], base_path('routes/health.php'));
            Route::group([], base_path('routes/dr.php'));
            $service = config('app.service');
            if (in_array($service, self::SERVICES_WITH_PAGES, true)) {
                Route::group([], base_path("routes/{$service}.php"));
            }
        });
    }
}
