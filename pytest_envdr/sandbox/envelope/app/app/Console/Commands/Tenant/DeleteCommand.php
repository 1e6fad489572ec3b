<?php

declare(strict_types=1);

namespace App\Console\Commands\Tenant;

use App\Tenancy\Founding;
use Illuminate\Console\Command;
use InvalidArgumentException;

/**
 * Takes an exercise's tenant away again: database and rows. Any other tenant stays.
 */
final class DeleteCommand extends Command
{
    /** @var string */
    protected $signature = 'tenant:delete {slug} {exercise : Whose it must be}';

    /** @var string */
    protected $description = 'Delete a tenant that an exercise has made';

    public function handle(): int
    {
        $told = ['tenant' => (string) $this->argument('slug')];
        try {
            $told['deleted'] = Founding::delete($told['tenant'], (string) $this->argument('exercise'));
        } catch (InvalidArgumentException $error) {
            $this->line((string) json_encode($told + ['error' => $error->getMessage()]));

            return self::INVALID;
        }
        $this->line((string) json_encode($told));

        return self::SUCCESS;
    }
}
