<?php

declare(strict_types=1);

use App\Http\Controllers\NoteController;
use App\Http\Controllers\TenantController;
use Illuminate\Support\Facades\Route;

Route::get('/api/tenants', [TenantController::class, 'index']);
Route::post('/api/tenants', [TenantController::class, 'store']);
Route::get('/api/tenants/{slug}', [TenantController::class, 'show']);
Route::get('/api/notes', [NoteController::class, 'index']);
Route::post('/api/notes', [NoteController::class, 'store']);
Route::get('/api/notes/{id}', [NoteController::class, 'show'])->whereNumber('id');
