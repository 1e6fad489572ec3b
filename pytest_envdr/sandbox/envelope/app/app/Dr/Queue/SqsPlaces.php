<?php

declare(strict_types=1);

namespace App\Dr\Queue;

use App\Queue\SqsQueue;
use App\Queue\Workers;
use AsyncAws\Core\Exception\Http\ClientException;
use Illuminate\Support\Facades\Cache;
use Illuminate\Support\Facades\DB;
use Illuminate\Support\Facades\Log;
use stdClass;
use Throwable;

/**
 * SQS: the queue tells how many messages it has, approximately, and shows none. Receiving one to look at it would count
 * as an attempt to do it. So where an exercise's jobs are is concluded from its ledger: one that was dispatched, has no
 * effect and has not failed is reserved for as long as the visibility timeout after its last run began, delayed until it
 * is due, else pending; and lost once the queue has been empty for as long as its counts may be wrong.
 *
 * The dead-letter queue can be looked through, since nobody works on it.
 */
final class SqsPlaces extends Places
{
    private const COUNTS = [
        'pending' => 'ApproximateNumberOfMessages',
        'delayed' => 'ApproximateNumberOfMessagesDelayed',
        'reserved' => 'ApproximateNumberOfMessagesNotVisible',
    ];
    /** How long workers may take to drop what is forgotten and visible to them; and how long it is waited for. */
    private const DROPPED_SECONDS = 10.0;
    private const LONGEST_SECONDS = 60.0;
    private const SENT_KEPT_SECONDS = 3_600;
    private const NO_SUCH_QUEUE = 'AWS.SimpleQueueService.NonExistentQueue';

    private readonly string $url;
    /** @var array<string, string> */
    private readonly array $attributes;
    private readonly ?DeadLetters $deadLetters;
    /** @var array<string, string> */
    private readonly array $deadAttributes;

    public function __construct(private readonly SqsQueue $queue)
    {
        $this->url = $queue->getQueue(null);
        $this->attributes = $this->read($this->url);
        [$this->deadLetters, $this->deadAttributes] = $this->deadLetters();
    }

    /**
     * Notes that a marked job was given to the queue, whose counts may not have it yet.
     */
    public static function sent(string $payload): void
    {
        $exercise = json_decode($payload, true)['dr']['exercise'] ?? null;
        if ($exercise === null) {
            return;
        }
        try {
            Cache::put("dr:sent:{$exercise}", microtime(true), self::SENT_KEPT_SECONDS);
        } catch (Throwable $error) {
            // The job is in the queue all the same.
            Log::error("the sending was not noted: {$error->getMessage()}");
        }
    }

    public function keys(): array
    {
        return ['pending' => $this->url] + ($this->deadLetters === null ? [] : ['dead' => (string) $this->deadLetterUrl()]);
    }

    public function counts(): array
    {
        $counts = array_map(fn (string $name): int => (int) $this->attributes[$name], self::COUNTS);

        return $counts + ['failed' => FailedJobs::count(), 'dead' => DeadLetters::sum($this->deadAttributes)];
    }

    public function own(string $exercise): array
    {
        $own = ['pending' => [], 'delayed' => [], 'reserved' => []];
        $jobs = $this->unfinished($exercise);
        // The ledger before the counts, and these before where a job ends: one that moves meanwhile is not missed.
        $empty = $this->messages() === 0;
        $ends = ['dead' => $this->dead($exercise), 'failed' => FailedJobs::own($exercise)];
        $ended = array_column(array_merge(...array_values($ends)), 'id');
        $trusted = microtime(true) - config('queue.connections.sqs.counts_settle');
        foreach ($jobs as $job) {
            if (!in_array($job['held']['id'], $ended, true) && !($empty && $job['touched'] < $trusted)) {
                $own[$job['place']][] = $job['held'];
            }
        }

        return $own + ['failed' => $ends['failed'], 'dead' => $ends['dead']];
    }

    /**
     * What is still in the queue is for the workers to drop, see App\Queue\SqsQueue; that is waited for, so that in the
     * end nothing is left: no longer than until the last of them must have been visible.
     */
    public function remove(string $exercise, array $own): array
    {
        $removed = array_map(static fn (array $jobs): int => count($jobs), $own);
        $due = [];
        foreach (['pending', 'delayed', 'reserved'] as $place) {
            foreach ($own[$place] as $job) {
                $due[] = $job['due_at'] ?? $job['back_at'] ?? 0.0;
            }
        }
        $removed['left'] = $due === [] ? 0 : $this->awaitDrop(max(microtime(true), ...$due));
        $removed['dead'] = 0;
        $this->deadLetters?->walk(static function (string $body) use ($exercise, &$removed): bool {
            $isOwn = self::job($body, $exercise) !== null;
            $removed['dead'] += (int) $isOwn;

            return $isOwn;
        });

        return ['failed' => FailedJobs::remove($exercise)] + $removed;
    }

    /**
     * Into the queue first, then out of the other: what is killed in between leaves a job twice, and none lost.
     */
    public function redrive(string $exercise): array
    {
        $ids = [];
        $this->deadLetters?->walk(function (string $body) use ($exercise, &$ids): bool {
            $job = self::job($body, $exercise);
            if ($job === null) {
                return false;
            }
            $this->queue->pushRaw($body);
            $ids[] = $job['id'];

            return true;
        });

        return $ids;
    }

    public function cache(): array
    {
        return [];
    }

    public function settings(): array
    {
        return [
            'visibility_timeout' => (int) $this->attributes['VisibilityTimeout'],
            'retention' => (int) $this->attributes['MessageRetentionPeriod'],
            'max_receives' => $this->deadLetters === null ? null : (int) $this->policy()['maxReceiveCount'],
            'dead_letter_retention' => $this->deadLetters === null
                ? null
                : (int) $this->deadAttributes['MessageRetentionPeriod'],
        ];
    }

    /**
     * Jobs without an effect: where each is by the ledger, and when it was last heard of.
     *
     * @return list<array{place: string, touched: float, held: array<string, mixed>}>
     */
    private function unfinished(string $exercise): array
    {
        $done = DB::table('dr_effects')->where('exercise', $exercise)->select('business_id');
        $runs = DB::table('dr_runs')->where('exercise', $exercise)->orderBy('id')
            ->get(['business_id', 'outcome', ...self::seconds('started_at', 'finished_at')])->groupBy('business_id');
        $sent = (float) Cache::get("dr:sent:{$exercise}", 0.0);

        return DB::table('dr_outbox')->where('exercise', $exercise)->whereNotNull('uuid')
            ->whereNotIn('business_id', $done)->orderBy('id')
            ->get(['business_id', 'uuid', 'orders', ...self::seconds('dispatched_at')])
            ->map(fn (stdClass $row): array => $this->conclude($row, $runs->get($row->business_id)?->all() ?? [], $sent))
            ->all();
    }

    /**
     * @param list<stdClass> $runs
     * @return array{place: string, touched: float, held: array<string, mixed>}
     */
    private function conclude(stdClass $job, array $runs, float $sent): array
    {
        $now = microtime(true);
        $last = end($runs) ?: null;
        $held = ['id' => $job->business_id, 'uuid' => $job->uuid, 'attempts' => count($runs)];
        $due = (float) $job->dispatched_at + (int) (json_decode($job->orders, true)['delay'] ?? 0);
        $back = $last === null ? 0.0 : (float) $last->started_at + (int) $this->attributes['VisibilityTimeout'];
        $place = 'pending';
        if ($last !== null && $last->outcome === null && $back > $now) {
            [$place, $held['back_at']] = ['reserved', $back];
        } elseif ($last === null && $due > $now) {
            [$place, $held['due_at']] = ['delayed', $due];
        }
        $touched = max($sent, $due, (float) ($last?->started_at ?? 0), (float) ($last?->finished_at ?? 0));

        return ['place' => $place, 'touched' => $touched, 'held' => $held];
    }

    /**
     * @return list<array{id: string, uuid: string|null, attempts: int}>
     */
    private function dead(string $exercise): array
    {
        $own = [];
        $this->deadLetters?->walk(static function (string $body) use ($exercise, &$own): bool {
            $own[] = self::job($body, $exercise);

            return false;
        });

        return array_values(array_filter($own));
    }

    private function awaitDrop(float $visible): int
    {
        $end = min($visible + self::DROPPED_SECONDS, microtime(true) + self::LONGEST_SECONDS);
        while (($left = $this->messages()) > 0 && microtime(true) < $end && Workers::alive() !== []) {
            usleep(250_000);
        }

        return $left;
    }

    /**
     * How many the queue has now, in whatever state.
     */
    private function messages(): int
    {
        return (int) array_sum(array_intersect_key($this->read($this->url), array_flip(self::COUNTS)));
    }

    /**
     * @return array{0: DeadLetters|null, 1: array<string, string>}
     */
    private function deadLetters(): array
    {
        $url = $this->deadLetterUrl();
        try {
            return $url === null ? [null, []] : [new DeadLetters($this->queue->getSqs(), $url), $this->read($url)];
        } catch (ClientException $error) {
            // SQS lets one be deleted that others name.
            if ($error->getAwsCode() !== self::NO_SUCH_QUEUE) {
                throw $error;
            }

            return [null, []];
        }
    }

    private function deadLetterUrl(): ?string
    {
        $arn = $this->policy()['deadLetterTargetArn'] ?? null;

        // It is of the same account and Region as its source.
        return $arn === null ? null : dirname($this->url) . '/' . substr((string) strrchr($arn, ':'), 1);
    }

    /**
     * @return array<string, mixed>
     */
    private function policy(): array
    {
        return json_decode($this->attributes['RedrivePolicy'] ?? '', true) ?? [];
    }

    /**
     * @return array<string, string>
     */
    private function read(string $url): array
    {
        $request = ['QueueUrl' => $url, 'AttributeNames' => ['All']];

        return $this->queue->getSqs()->getQueueAttributes($request)->get('Attributes');
    }

    /**
     * @return list<\Illuminate\Database\Query\Expression>
     */
    private static function seconds(string ...$columns): array
    {
        return array_map(static fn (string $name) => DB::raw("UNIX_TIMESTAMP({$name}) AS {$name}"), $columns);
    }
}
