<?php

declare(strict_types=1);

namespace App\Dr\Queue;

use Illuminate\Database\Query\Builder;
use Illuminate\Support\Facades\DB;
use stdClass;

/**
 * `failed_jobs`, which all queue connections share.
 */
final class FailedJobs
{
    private const LISTED = 1_000;

    public static function count(): int
    {
        return DB::table('failed_jobs')->count();
    }

    /**
     * @return list<array{id: string, uuid: string, failed_at: float, reason: string}>
     */
    public static function own(string $exercise): array
    {
        return self::marked('=', $exercise)->orderBy('id')->get(['uuid', 'payload', 'exception', 'failed_at'])
            ->map(static fn (stdClass $row): array => self::failure($row))->all();
    }

    public static function remove(string $exercise): int
    {
        return self::marked('=', $exercise)->delete();
    }

    /**
     * Those that failed for reasons of their own: nobody's exercise may touch them.
     *
     * @return array{count: int, digest: string, uuids: list<string>}
     */
    public static function foreign(string $exercise): array
    {
        $uuids = self::marked('<>', $exercise)->orderBy('id')->pluck('uuid')->all();

        return [
            'count' => count($uuids),
            'digest' => hash('sha256', implode("\n", $uuids)),
            'uuids' => array_slice($uuids, 0, self::LISTED),
        ];
    }

    /**
     * @return array{id: string, uuid: string, failed_at: float, reason: string}
     */
    private static function failure(stdClass $row): array
    {
        return [
            'id' => json_decode($row->payload, true)['dr']['id'],
            'uuid' => $row->uuid,
            'failed_at' => (float) strtotime("{$row->failed_at} UTC"),
            'reason' => mb_substr(strtok($row->exception, "\n") ?: '', 0, 200),
        ];
    }

    private static function marked(string $operator, string $exercise): Builder
    {
        $mark = "COALESCE(JSON_VALUE(payload, '$.dr.exercise'), '')";

        return DB::table('failed_jobs')->whereRaw("{$mark} {$operator} ?", [$exercise]);
    }
}
