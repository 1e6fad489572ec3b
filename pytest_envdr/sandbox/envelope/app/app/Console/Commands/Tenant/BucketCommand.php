<?php

declare(strict_types=1);

namespace App\Console\Commands\Tenant;

use App\Tenancy\Founding;
use Illuminate\Console\Command;

/**
 * Notes which bucket a tenant's documents are in, where it could not have the name that it was to have.
 */
final class BucketCommand extends Command
{
    /** @var string */
    protected $signature = 'tenant:bucket {slug} {bucket}';

    /** @var string */
    protected $description = 'Note the bucket of a tenant';

    public function handle(): int
    {
        [$slug, $bucket] = [(string) $this->argument('slug'), (string) $this->argument('bucket')];
        Founding::record($slug, $bucket);
        $this->line((string) json_encode(['tenant' => $slug, 'bucket' => $bucket]));

        return self::SUCCESS;
    }
}
