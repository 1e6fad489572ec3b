<?php

declare(strict_types=1);

namespace App\Dr\Queue;

use App\Jobs\MarkedJob;
use Illuminate\Support\Facades\DB;
use Illuminate\Support\Facades\Log;
use stdClass;
use Throwable;

/**
 * What was to be done, written before the queue hears of it: a job that the queue loses can be made again.
 */
final class Outbox
{
    /** What the queue called the job that it was given last. */
    private static ?string $uuid = null;

    /**
     * The row first, then the job.
     *
     * @param list<Order> $orders
     * @return list<array{id: string, kind: string, uuid: string|null}>
     */
    public static function dispatch(string $exercise, array $orders): array
    {
        $rows = [];
        foreach ($orders as $order) {
            for ($number = 0; $number < $order->count; $number++) {
                $rows[] = [self::write($exercise, $order), $order];
            }
        }

        return array_map(static fn (array $row): array => self::send($exercise, $row[0], $row[1]), $rows);
    }

    /**
     * Those without an effect that are in no place of the queue, made again under the same business id.
     *
     * @param list<string> $ids Only these; none: all that are lost.
     * @return list<array{id: string, kind: string, uuid: string|null}>
     */
    public static function redispatch(string $exercise, array $ids): array
    {
        $sent = [];
        foreach (self::lost($exercise) as $row) {
            if ($ids === [] || in_array($row->business_id, $ids, true)) {
                $order = Order::from(json_decode($row->orders, true));
                $sent[] = self::send($exercise, $row->business_id, $order);
            }
        }

        return $sent;
    }

    /**
     * @param array{uuid?: string} $payload
     */
    public static function queued(array $payload): void
    {
        self::$uuid = $payload['uuid'] ?? null;
    }

    /**
     * Whether a payload is a marked job's whose exercise has been forgotten.
     *
     * @param array<string, mixed> $payload
     */
    public static function forgot(array $payload): bool
    {
        $id = $payload['dr']['id'] ?? null;

        return $id !== null && !DB::table('dr_outbox')->where('business_id', $id)->exists();
    }

    /**
     * @return list<stdClass>
     */
    private static function lost(string $exercise): array
    {
        $held = array_merge(...array_values(Places::inUse()->own($exercise)));
        $known = array_column($held, 'id');

        return DB::table('dr_outbox')->where('exercise', $exercise)
            ->whereNotIn('business_id', DB::table('dr_effects')->where('exercise', $exercise)->select('business_id'))
            ->orderBy('id')->get()
            ->filter(static fn (stdClass $row): bool => !in_array($row->business_id, $known, true))
            ->values()->all();
    }

    private static function write(string $exercise, Order $order): string
    {
        return DB::transaction(static function () use ($exercise, $order): string {
            $id = DB::table('dr_outbox')->insertGetId([
                'exercise' => $exercise,
                'business_id' => uniqid("{$exercise}.", true),
                'kind' => $order->kind,
                'orders' => $order->json(),
                'written_at' => Runs::now(),
            ]);
            $businessId = "{$exercise}.{$order->kind}.{$id}";
            DB::table('dr_outbox')->where('id', $id)->update(['business_id' => $businessId]);

            return $businessId;
        });
    }

    /**
     * A null uuid: the queue was never given it, because its lock is held, or because the queue is away.
     *
     * @return array{id: string, kind: string, uuid: string|null}
     */
    private static function send(string $exercise, string $businessId, Order $order): array
    {
        self::$uuid = null;
        try {
            $pending = dispatch(MarkedJob::of($exercise, $businessId, $order));
            // The framework gives it to the queue when nobody holds it any more.
            unset($pending);
        } catch (Throwable $error) {
            self::$uuid = null;
            Log::error("{$businessId} was not queued: {$error->getMessage()}");
        }
        if (self::$uuid !== null) {
            DB::table('dr_outbox')->where('business_id', $businessId)->update([
                'uuid' => self::$uuid,
                'dispatched_at' => Runs::now(),
                'dispatches' => DB::raw('dispatches + 1'),
            ]);
        }

        return ['id' => $businessId, 'kind' => $order->kind, 'uuid' => self::$uuid];
    }
}
