<?php

declare(strict_types=1);

use App\Http\Controllers\Dr\DatabaseController;
use App\Http\Controllers\Dr\HeartbeatController;
use App\Http\Controllers\Dr\JobController;
use App\Http\Controllers\Dr\LedgerController;
use App\Http\Controllers\Dr\ProbeController;
use Illuminate\Support\Facades\Route;

Route::match(['get', 'post'], '/dr/probe', ProbeController::class);
Route::post('/dr/jobs', [JobController::class, 'store']);
Route::get('/dr/jobs/{value}', [JobController::class, 'show']);
Route::get('/dr/heartbeat', HeartbeatController::class);
Route::get('/dr/database', DatabaseController::class);
Route::get('/dr/ledger/{exercise}', LedgerController::class);
