<?php

declare(strict_types=1);

namespace App\Dr;

use App\Tenancy\Tenants;
use Closure;
use Illuminate\Database\QueryException;
use Illuminate\Support\Facades\DB;
use Illuminate\Support\Facades\Log;

/**
 * The same numbered row in the central and in every tenant database, written in one transaction: the newest row that
 * a restored database has says how much was lost.
 */
final class Heartbeat
{
    private const TABLE = 'dr_heartbeat';
    /** Unknown database, no such table, lock wait timeout: a tenant that is being restored must not stop the others. */
    private const TENANT_AWAY = [1049, 1146, 1205];

    /**
     * The number of this heartbeat. Numbers are taken from the table, under a lock, so that none is ever left out.
     */
    public static function write(): int
    {
        return DB::transaction(static function (): int {
            $newest = DB::selectOne('SELECT sequence FROM dr_heartbeat ORDER BY sequence DESC LIMIT 1 FOR UPDATE');
            $row = [
                'sequence' => (int) ($newest->sequence ?? 0) + 1,
                'written_at' => now()->format('Y-m-d H:i:s.u'),
                'writer' => config('app.task'),
            ];
            DB::table(self::TABLE)->insert($row + ['database_count' => 1 + self::writeTenants($row)]);

            return $row['sequence'];
        });
    }

    /**
     * @return array{sequence: int, written_at: float|null, databases: int}
     */
    public static function newest(): array
    {
        $row = DB::selectOne(
            'SELECT sequence, UNIX_TIMESTAMP(written_at) AS written_at, database_count FROM dr_heartbeat '
            . 'ORDER BY sequence DESC LIMIT 1',
        );

        return [
            'sequence' => (int) ($row->sequence ?? 0),
            'written_at' => isset($row->written_at) ? (float) $row->written_at : null,
            'databases' => (int) ($row->database_count ?? 0),
        ];
    }

    public static function prune(int $sequence): void
    {
        if (!Table::isDue($sequence)) {
            return;
        }
        foreach ([self::TABLE, ...self::tenantTables()] as $table) {
            self::unlessAway($table, static fn () => Table::prune($table, 'sequence', $sequence));
        }
    }

    /**
     * @param array<string, int|string> $row
     */
    private static function writeTenants(array $row): int
    {
        $written = 0;
        foreach (self::tenantTables() as $table) {
            $written += (int) self::unlessAway($table, static fn () => DB::table($table)->insert($row));
        }

        return $written;
    }

    /**
     * Whether it was done; not where the table is away.
     */
    private static function unlessAway(string $table, Closure $act): bool
    {
        try {
            $act();
        } catch (QueryException $error) {
            if (!in_array($error->errorInfo[1] ?? null, self::TENANT_AWAY, true)) {
                throw $error;
            }
            Log::warning("heartbeat left out of {$table}: {$error->getMessage()}");

            return false;
        }

        return true;
    }

    /**
     * @return list<string>
     */
    private static function tenantTables(): array
    {
        $databases = DB::table('tenants')->where('status', Tenants::ACTIVE)->orderBy('id')->pluck('database_name');

        return $databases->map(static fn (string $name): string => $name . '.' . self::TABLE)->all();
    }
}
