<?php

declare(strict_types=1);

namespace App\Http\Controllers;

use App\Tenancy\Tenants;
use Illuminate\Http\JsonResponse;
use Illuminate\Support\Facades\DB;

final class TenantController
{
    private const COLUMNS = ['id', 'slug', 'name', 'status', 'database_name', 'created_at'];

    public function index(): JsonResponse
    {
        return new JsonResponse(['tenants' => DB::table('tenants')->orderBy('id')->get(self::COLUMNS)]);
    }

    public function show(string $slug): JsonResponse
    {
        $tenant = Tenants::find($slug);
        $domains = DB::table('domains')->where('tenant_id', $tenant->id)->orderBy('id')->pluck('domain');

        return new JsonResponse(['tenant' => $tenant, 'domains' => $domains]);
    }
}
