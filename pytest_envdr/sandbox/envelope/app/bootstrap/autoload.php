<?php

declare(strict_types=1);

/*
 * Laravel as Debian packages it (php-laravel-framework): no Composer, each library brings its own class loader.
 */

require_once 'Illuminate/autoload.php';
require_once 'Illuminate/Foundation/helpers.php';

spl_autoload_register(static function (string $class): void {
    if (str_starts_with($class, 'App\\')) {
        require __DIR__ . '/../app/' . str_replace('\\', '/', substr($class, 4)) . '.php';
    }
});
