<?php

declare(strict_types=1);

namespace App\Tenancy;

use Illuminate\Database\Connection;
use Illuminate\Support\Facades\DB;
use stdClass;
use Symfony\Component\HttpKernel\Exception\NotFoundHttpException;
use Symfony\Component\HttpKernel\Exception\ServiceUnavailableHttpException;

/**
 * One database a tenant, on the same server as the central one.
 */
final class Tenants
{
    public const ACTIVE = 'active';
    private const RETRY_SECONDS = 5;

    public static function find(string $slug): stdClass
    {
        $tenant = DB::table('tenants')->where('slug', $slug)->first();

        return $tenant ?? throw new NotFoundHttpException("There is no tenant {$slug}");
    }

    /**
     * A tenant that is not active is not served: suspended, it is quiet, and its database can be exchanged.
     */
    public static function connect(string $slug): Connection
    {
        $tenant = self::find($slug);
        if ($tenant->status !== self::ACTIVE) {
            throw new ServiceUnavailableHttpException(self::RETRY_SECONDS, "The tenant {$slug} is {$tenant->status}");
        }

        return self::connection($tenant);
    }

    public static function connection(stdClass $tenant): Connection
    {
        config(['database.connections.tenant.database' => $tenant->database_name]);
        DB::purge('tenant');

        return DB::connection('tenant');
    }
}
