<?php

declare(strict_types=1);

namespace App\Console\Commands;

use App\Reverb\Server;
use Illuminate\Console\Command;

/**
 * The WebSocket service. Laravel's own Reverb came with Laravel 10: this one speaks the same protocol, and no more of
 * it than a client needs to connect and to be answered.
 */
final class ReverbCommand extends Command
{
    /** @var string */
    protected $signature = 'reverb:start';

    /** @var string */
    protected $description = 'Serve WebSockets in the Pusher protocol';

    public function handle(): int
    {
        // One loop serves everybody: a database that hangs must not hold it for long.
        ini_set('mysqlnd.net_read_timeout', '2');
        $server = Server::listen(config('app.task'), config('app.port'));
        pcntl_async_signals(true);
        foreach ([SIGTERM, SIGINT] as $signal) {
            pcntl_signal($signal, $server->stop(...));
        }
        $this->info('Serving WebSockets at ' . config('app.task') . ':' . config('app.port'));
        $server->run();

        return self::SUCCESS;
    }
}
