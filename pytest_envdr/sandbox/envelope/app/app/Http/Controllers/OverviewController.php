<?php

declare(strict_types=1);

namespace App\Http\Controllers;

use App\Tenancy\Tenants;
use Illuminate\Database\Query\Builder;
use Illuminate\Http\JsonResponse;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\DB;
use stdClass;

final class OverviewController
{
    private const PAGE = 25;

    /**
     * A page of tenants with their plan and what their own databases hold.
     */
    public function index(Request $request): JsonResponse
    {
        $page = max(1, (int) $request->query('page', '1'));
        $tenants = $this->tenants()->orderBy('tenants.id')->forPage($page, self::PAGE)->get();

        return new JsonResponse([
            'total' => DB::table('tenants')->count(),
            'page' => $page,
            'tenants' => $tenants->map(fn (stdClass $tenant): stdClass => $this->withCounts($tenant)),
        ]);
    }

    public function show(string $slug): JsonResponse
    {
        Tenants::find($slug);

        return new JsonResponse(['tenant' => $this->withCounts($this->tenants()->where('slug', $slug)->first())]);
    }

    public function changePlan(Request $request, string $slug): JsonResponse
    {
        $tenant = Tenants::find($slug);
        $plan = DB::table('plans')->where('code', $request->json('plan'))->first();
        abort_if($plan === null, 422, '"plan" must be the code of a plan');
        DB::table('subscriptions')->where('tenant_id', $tenant->id)
            ->update(['plan_id' => $plan->id, 'monthly_price' => $plan->monthly_price]);

        return $this->show($slug);
    }

    private function tenants(): Builder
    {
        return DB::table('tenants')
            ->leftJoin('subscriptions', 'subscriptions.tenant_id', '=', 'tenants.id')
            ->leftJoin('plans', 'plans.id', '=', 'subscriptions.plan_id')
            ->select(['slug', 'tenants.name', 'tenants.status', 'database_name', 'code AS plan', 'subscriptions.monthly_price']);
    }

    /**
     * The database of a tenant that is not active is left alone: null.
     */
    private function withCounts(stdClass $tenant): stdClass
    {
        $active = $tenant->status === Tenants::ACTIVE;
        foreach (['customers', 'orders', 'documents'] as $table) {
            $tenant->{$table} = $active ? DB::table("{$tenant->database_name}.{$table}")->count() : null;
        }

        return $tenant;
    }
}
