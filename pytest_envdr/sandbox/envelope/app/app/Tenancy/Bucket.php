<?php

declare(strict_types=1);

namespace App\Tenancy;

use App\Aws\Answer;
use App\Aws\Client;
use RuntimeException;
use stdClass;

/**
 * A tenant's bucket. It is made by somebody else, after the tenant; until then there is no storage.
 */
final class Bucket
{
    /** What S3 says where there is no bucket, or where one of that name is somebody else's. */
    private const NOT_READY = ['NoSuchBucket', 'AccessDenied', 'AllAccessDisabled'];

    private readonly Client $s3;

    public function __construct(private readonly stdClass $tenant)
    {
        $this->s3 = new Client('s3', config('aws'));
    }

    /**
     * @param array<string, string> $headers
     * @throws StorageNotReady
     */
    public function put(string $key, string $body, array $headers): void
    {
        $this->checked($this->send('PUT', $key, $headers, $body), $key);
    }

    /**
     * @throws StorageNotReady
     */
    public function get(string $key): string
    {
        return $this->checked($this->send('GET', $key), $key)->body;
    }

    /**
     * @param array<string, string> $headers
     */
    private function send(string $method, string $key, array $headers = [], string $body = ''): Answer
    {
        if (!$this->tenant->bucket) {
            throw new StorageNotReady("The tenant {$this->tenant->slug} has no bucket");
        }
        $owner = array_filter(['x-amz-expected-bucket-owner' => config('aws.account')]);

        return $this->s3->send($method, "/{$this->tenant->bucket}/{$key}", $headers + $owner, $body);
    }

    private function checked(Answer $answer, string $key): Answer
    {
        if (in_array($answer->code(), self::NOT_READY, true)) {
            throw new StorageNotReady("Bucket {$this->tenant->bucket}: {$answer->code()}");
        }
        if (!$answer->well()) {
            throw new RuntimeException("S3 refused {$key} of bucket {$this->tenant->bucket}: {$answer->code()}");
        }

        return $answer;
    }
}
