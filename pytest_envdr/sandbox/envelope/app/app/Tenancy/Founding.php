<?php

declare(strict_types=1);

namespace App\Tenancy;

use Closure;
use Illuminate\Database\QueryException;
use Illuminate\Support\Facades\DB;
use InvalidArgumentException;
use RuntimeException;
use stdClass;
use Symfony\Component\HttpKernel\Exception\ConflictHttpException;
use Throwable;

/**
 * A new tenant: its rows in the central database, a database of its own, and the event that has its bucket made. An
 * exercise's tenant bears the exercise's name, and only such a tenant can be deleted again.
 */
final class Founding
{
    /** One lock a tenant: whoever deletes it waits until it is made. */
    private const LOCK_SECONDS = 30;
    private const DUPLICATE = 1062;
    private const PLAN = 'letter';

    /**
     * @return array{tenant: stdClass, event: string|null}
     * @throws ConflictHttpException there is such a tenant
     */
    public static function create(string $slug, string $name, ?string $exercise): array
    {
        $tenant = self::alone($slug, static function () use ($slug, $name, $exercise): stdClass {
            $tenant = self::insert($slug, $name, $exercise);
            try {
                self::createDatabase($tenant);
            } catch (Throwable $error) {
                self::remove($tenant);
                throw $error;
            }
            DB::table('tenants')->where('id', $tenant->id)->update(['status' => Tenants::ACTIVE]);

            return Tenants::find($slug);
        });

        return ['tenant' => $tenant, 'event' => Events::created($tenant)];
    }

    /**
     * Whether it was there.
     *
     * @throws InvalidArgumentException it is none of that exercise's
     */
    public static function delete(string $slug, string $exercise): bool
    {
        return self::alone($slug, static function () use ($slug, $exercise): bool {
            $tenant = DB::table('tenants')->where('slug', $slug)->first();
            if ($tenant === null) {
                return false;
            }
            if (self::exerciseOf($tenant) !== $exercise) {
                throw new InvalidArgumentException("The tenant {$slug} is not exercise {$exercise}'s: it stays");
            }
            self::remove($tenant);

            return true;
        });
    }

    /**
     * Where a bucket of another name is noted, because the tenant's own name was taken.
     */
    public static function record(string $slug, string $bucket): void
    {
        DB::table('tenants')->where('id', Tenants::find($slug)->id)->update(['bucket' => $bucket]);
    }

    private static function insert(string $slug, string $name, ?string $exercise): stdClass
    {
        try {
            DB::transaction(static function () use ($slug, $name, $exercise): void {
                $id = DB::table('tenants')->insertGetId([
                    'slug' => $slug,
                    'name' => $name,
                    'database_name' => 'tenant_' . str_replace('-', '_', $slug),
                    'status' => 'provisioning',
                    'bucket' => config('aws.bucket_prefix') . $slug,
                    'settings' => json_encode(array_filter(['locale' => 'de', 'exercise' => $exercise])),
                ]);
                DB::table('domains')->insert(['tenant_id' => $id, 'domain' => "{$slug}.tenant.envelope.test"]);
                $plan = DB::table('plans')->where('code', self::PLAN)->first();
                DB::table('subscriptions')->insert([
                    'tenant_id' => $id,
                    'plan_id' => $plan->id,
                    'monthly_price' => $plan->monthly_price,
                    'started_on' => now()->format('Y-m-d'),
                ]);
            });
        } catch (QueryException $error) {
            throw ($error->errorInfo[1] ?? null) === self::DUPLICATE
                ? new ConflictHttpException("There is a tenant {$slug} already")
                : $error;
        }

        return Tenants::find($slug);
    }

    /**
     * The statements of the schema file: each ends with a semicolon at a line's end, as none does within one.
     */
    private static function createDatabase(stdClass $tenant): void
    {
        DB::statement("CREATE DATABASE `{$tenant->database_name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci");
        $database = Tenants::connection($tenant);
        $schema = (string) file_get_contents(database_path('schema/tenant.sql'));
        foreach (array_filter(array_map('trim', explode(";\n", $schema))) as $statement) {
            $database->unprepared($statement);
        }
        $database->table('settings')->insert([
            'name' => 'company',
            'value' => json_encode(['slug' => $tenant->slug, 'name' => $tenant->name], JSON_UNESCAPED_UNICODE),
        ]);
    }

    /**
     * Quiet first, so that no heartbeat meets a database that is going.
     */
    private static function remove(stdClass $tenant): void
    {
        DB::table('tenants')->where('id', $tenant->id)->update(['status' => 'suspended']);
        DB::statement("DROP DATABASE IF EXISTS `{$tenant->database_name}`");
        DB::table('tenants')->where('id', $tenant->id)->delete();
    }

    private static function exerciseOf(stdClass $tenant): ?string
    {
        return json_decode((string) $tenant->settings, true)['exercise'] ?? null;
    }

    /**
     * @template T
     * @param Closure(): T $act
     * @return T
     */
    private static function alone(string $slug, Closure $act): mixed
    {
        $name = "tenant {$slug}";
        $waited = 0;
        // A second at a time: no answer may take longer than a connection waits for one.
        while ((int) DB::selectOne('SELECT GET_LOCK(?, 1) AS held', [$name])->held !== 1) {
            if (++$waited >= self::LOCK_SECONDS) {
                throw new RuntimeException("The tenant {$slug} is being made or deleted by somebody else");
            }
        }
        try {
            return $act();
        } finally {
            DB::selectOne('SELECT RELEASE_LOCK(?)', [$name]);
        }
    }
}
