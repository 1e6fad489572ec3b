<?php

declare(strict_types=1);

namespace App\Tenancy;

use Illuminate\Database\Connection;
use Illuminate\Support\Facades\DB;
use stdClass;
use Symfony\Component\HttpKernel\Exception\NotFoundHttpException;

/**
 * One database a tenant, on the same server as the central one.
 */
final class Tenants
{
    public static function find(string $slug): stdClass
    {
        $tenant = DB::table('tenants')->where('slug', $slug)->first();

        return $tenant ?? throw new NotFoundHttpException("There is no tenant {$slug}");
    }

    public static function connect(string $slug): Connection
    {
        config(['database.connections.tenant.database' => self::find($slug)->database_name]);
        DB::purge('tenant');

        return DB::connection('tenant');
    }
}
