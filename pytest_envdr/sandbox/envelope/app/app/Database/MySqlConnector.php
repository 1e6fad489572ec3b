<?php

declare(strict_types=1);

namespace App\Database;

use Illuminate\Database\Connectors\MySqlConnector as Connector;
use PDO;
use Throwable;

/**
 * Tries to connect once. The framework's tries again at once, and the query that asked for the connection tries again
 * as well: four time-outs in a row for a database that hangs, in which the one process of a task answers nobody.
 */
final class MySqlConnector extends Connector
{
    /**
     * @param string $dsn
     * @param string $username
     * @param string $password
     * @param array<int, mixed> $options
     */
    protected function tryAgainIfCausedByLostConnection(Throwable $e, $dsn, $username, $password, $options): PDO
    {
        throw $e;
    }
}
