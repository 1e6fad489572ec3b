<?php

declare(strict_types=1);

use App\Http\Controllers\OverviewController;
use Illuminate\Support\Facades\Route;

Route::get('/hq/tenants', [OverviewController::class, 'index']);
Route::get('/hq/tenants/{slug}', [OverviewController::class, 'show']);
Route::post('/hq/tenants/{slug}/plan', [OverviewController::class, 'changePlan']);
