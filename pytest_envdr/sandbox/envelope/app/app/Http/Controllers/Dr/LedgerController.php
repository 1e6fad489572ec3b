<?php

declare(strict_types=1);

namespace App\Http\Controllers\Dr;

use App\Dr\Queue\Account;
use App\Dr\Queue\Order;
use Illuminate\Http\JsonResponse;
use InvalidArgumentException;
use Symfony\Component\HttpKernel\Exception\UnprocessableEntityHttpException;

/**
 * What `dr:queue` and `dr:ledger` tell, without a task to be started for it.
 */
final class LedgerController
{
    public function __invoke(string $exercise): JsonResponse
    {
        try {
            $name = Order::exercise($exercise);
        } catch (InvalidArgumentException $error) {
            throw new UnprocessableEntityHttpException($error->getMessage(), $error);
        }

        return new JsonResponse(['exercise' => $name, 'queue' => Account::queue($name)] + Account::ledger($name));
    }
}
