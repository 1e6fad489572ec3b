<?php

declare(strict_types=1);

use App\Application;
use Illuminate\Contracts\Console\Kernel as ConsoleKernel;
use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Contracts\Http\Kernel as HttpKernel;

require_once __DIR__ . '/autoload.php';

// A database or cache that hangs must cost one request its answer, not the process its life.
$seconds = PHP_SAPI === 'cli-server' ? '2' : '5';
ini_set('default_socket_timeout', $seconds);
ini_set('mysqlnd.net_read_timeout', $seconds);

$app = new Application(dirname(__DIR__));

$app->singleton(HttpKernel::class, App\Http\Kernel::class);
$app->singleton(ConsoleKernel::class, App\Console\Kernel::class);
$app->singleton(ExceptionHandler::class, App\Exceptions\Handler::class);

return $app;
