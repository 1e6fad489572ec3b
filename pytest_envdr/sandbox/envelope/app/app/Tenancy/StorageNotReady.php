<?php

declare(strict_types=1);

namespace App\Tenancy;

use Illuminate\Http\JsonResponse;
use RuntimeException;

/**
 * A tenant without a bucket, or not yet: its pages work, its documents have no place.
 */
final class StorageNotReady extends RuntimeException
{
    public function render(): JsonResponse
    {
        return new JsonResponse(['error' => 'storage not ready', 'message' => $this->getMessage()], 503);
    }
}
