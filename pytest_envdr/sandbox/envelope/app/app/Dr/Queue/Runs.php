<?php

declare(strict_types=1);

namespace App\Dr\Queue;

use App\Jobs\MarkedJob;
use App\Tenancy\Tenants;
use Illuminate\Support\Facades\DB;

/**
 * Who executed which marked job when, and its effect: outside of the queue, which forgets what it loses.
 */
final class Runs
{
    public const DONE = 'done';
    public const FAILED = 'failed';
    public const REPEATED = 'repeated';

    /**
     * The number of the run; null where the job's exercise has been forgotten.
     */
    public static function start(MarkedJob $job, string $uuid, int $attempt): ?int
    {
        return DB::transaction(static function () use ($job, $uuid, $attempt): ?int {
            if (!self::known($job->businessId)) {
                return null;
            }

            return DB::table('dr_runs')->insertGetId([
                'exercise' => $job->exercise,
                'business_id' => $job->businessId,
                'uuid' => $uuid,
                'attempt' => $attempt,
                'worker' => config('app.task'),
                'started_at' => self::now(),
            ]);
        });
    }

    /**
     * Whether this run is one of those that were ordered to fail.
     */
    public static function fails(string $businessId, int $ordered): bool
    {
        if ($ordered <= 0) {
            return $ordered === Order::ALWAYS;
        }
        $failed = DB::table('dr_runs')->where('business_id', $businessId)->where('outcome', self::FAILED)->count();

        return $failed < $ordered;
    }

    /**
     * False where the run has been forgotten.
     */
    public static function end(int $run, string $outcome): bool
    {
        $ended = ['finished_at' => self::now(), 'outcome' => $outcome];

        return DB::table('dr_runs')->where('id', $run)->update($ended) === 1;
    }

    /**
     * The effect, once for each business id: another run of the same job is noted, and changes nothing.
     */
    public static function apply(int $run, MarkedJob $job): void
    {
        $tenant = $job->tenant === null ? null : self::workedFor($job->tenant);
        DB::transaction(static function () use ($run, $job, $tenant): void {
            if (!self::known($job->businessId)) {
                return;
            }
            $applied = DB::table('dr_effects')->insertOrIgnore([
                'exercise' => $job->exercise,
                'business_id' => $job->businessId,
                'run_id' => $run,
                'applied_at' => self::now(),
                'tenant' => $tenant,
            ]);
            self::end($run, $applied === 1 ? self::DONE : self::REPEATED);
        });
    }

    public static function now(): string
    {
        return now()->format('Y-m-d H:i:s.u');
    }

    /**
     * Holds the row until the transaction ends: an exercise is forgotten before it or after it, never in between.
     */
    private static function known(string $businessId): bool
    {
        return DB::table('dr_outbox')->where('business_id', $businessId)->sharedLock()->exists();
    }

    /**
     * Whose the database is that a tenant's job works in, by its own word: a job that is retried may have lost its tenant.
     */
    private static function workedFor(string $slug): ?string
    {
        $company = Tenants::connect($slug)->table('settings')->where('name', 'company')->value('value');

        return json_decode((string) $company, true)['slug'] ?? null;
    }
}
