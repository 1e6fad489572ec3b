<?php

declare(strict_types=1);

namespace App\Dr;

use Illuminate\Support\Facades\DB;

/**
 * Which server answers, and one value that it holds: what tells a restored server from the one that it was made of.
 */
final class Database
{
    /** RDS gives each instance a server id and a host name of its own, a restored one too. */
    private const IDENTITY = "SELECT CONCAT(@@server_id, '@', @@hostname, ':', @@port) AS server";

    /**
     * Reads only. The value is the probe row that holds it, null where there is none; the newest one's unless asked.
     *
     * @return array{server: string, value: string|null}
     */
    public static function identity(?string $value): array
    {
        $rows = DB::table('dr_probe')->orderByDesc('id');
        if ($value !== null) {
            $rows->whereRaw('BINARY value = ?', [$value]);
        }

        return ['server' => DB::selectOne(self::IDENTITY)->server, 'value' => $rows->value('value')];
    }
}
