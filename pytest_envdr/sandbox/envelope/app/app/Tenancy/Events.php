<?php

declare(strict_types=1);

namespace App\Tenancy;

use App\Aws\Client;
use Illuminate\Support\Facades\Log;
use RuntimeException;
use stdClass;

/**
 * What the application tells the rest of the stack, on an EventBridge bus.
 */
final class Events
{
    private const SOURCE = 'envelope';

    /**
     * The event's id; null where it could not be told. The tenant is there all the same, and nobody else will know:
     * `tenants` and buckets have to be held against one another.
     */
    public static function created(stdClass $tenant): ?string
    {
        if (config('aws.event_bus') === '') {
            return null;
        }
        try {
            return self::put('tenant.created', [
                'slug' => $tenant->slug,
                'tenant_id' => $tenant->id,
                'bucket' => $tenant->bucket,
            ]);
        } catch (RuntimeException $error) {
            Log::error("tenant.created of {$tenant->slug} was not told: {$error->getMessage()}");

            return null;
        }
    }

    /**
     * @param array<string, mixed> $detail
     */
    private static function put(string $type, array $detail): string
    {
        $entry = [
            'EventBusName' => config('aws.event_bus'),
            'Source' => self::SOURCE,
            'DetailType' => $type,
            'Detail' => json_encode($detail, JSON_THROW_ON_ERROR),
        ];
        $answer = (new Client('events', config('aws')))->send('POST', '/', [
            'content-type' => 'application/x-amz-json-1.1',
            'x-amz-target' => 'AWSEvents.PutEvents',
        ], json_encode(['Entries' => [$entry]], JSON_THROW_ON_ERROR));
        $told = json_decode($answer->body, true);
        // A 200 tells of entries that were refused in its body.
        if (!$answer->well() || ($told['FailedEntryCount'] ?? 1) !== 0) {
            throw new RuntimeException($told['Entries'][0]['ErrorMessage'] ?? $answer->code());
        }

        return (string) $told['Entries'][0]['EventId'];
    }
}
