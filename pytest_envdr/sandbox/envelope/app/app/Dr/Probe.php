<?php

declare(strict_types=1);

namespace App\Dr;

use Illuminate\Support\Facades\DB;

/**
 * One write and one read of one row: what "the service works" means to a client outside.
 */
final class Probe
{
    /**
     * @return array{value: string, service: string, task: string, row: int}
     */
    public static function roundTrip(string $value): array
    {
        $id = DB::table('dr_probe')->insertGetId([
            'value' => $value,
            'service' => config('app.service'),
            'task' => config('app.task'),
        ]);
        $row = DB::table('dr_probe')->where('id', $id)->first();
        Table::prune('dr_probe', 'id', $id);

        return ['value' => $row->value, 'service' => $row->service, 'task' => $row->task, 'row' => (int) $row->id];
    }
}
