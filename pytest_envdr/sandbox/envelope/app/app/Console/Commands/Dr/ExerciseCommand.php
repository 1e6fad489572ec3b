<?php

declare(strict_types=1);

namespace App\Console\Commands\Dr;

use App\Dr\Queue\Order;
use Illuminate\Console\Command;
use InvalidArgumentException;

/**
 * A command about one exercise that prints one line of JSON: who runs it in a task finds it in the task's log.
 */
abstract class ExerciseCommand extends Command
{
    final public function handle(): int
    {
        try {
            $exercise = Order::exercise($this->argument('exercise'));
            $told = ['dr' => $this->getName(), 'exercise' => $exercise] + $this->tell($exercise);
        } catch (InvalidArgumentException $error) {
            $this->line((string) json_encode(['dr' => $this->getName(), 'error' => $error->getMessage()]));

            return self::INVALID;
        }
        $this->line((string) json_encode($told, JSON_UNESCAPED_SLASHES | JSON_THROW_ON_ERROR));

        return self::SUCCESS;
    }

    /**
     * @return array<string, mixed>
     */
    abstract protected function tell(string $exercise): array;
}
