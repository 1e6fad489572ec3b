<?php

declare(strict_types=1);

namespace App;

use Illuminate\Foundation\Application as Framework;
use Illuminate\Support\Env;
use RuntimeException;

/**
 * The framework's application with its code and its storage apart: the code is an image that many tasks share and
 * none may write to, the storage is a file system that all tasks mount.
 */
final class Application extends Framework
{
    private const STORAGE_DIRECTORIES = ['alive', 'app', 'framework', 'framework/cache', 'framework/views', 'logs', 'workers'];

    /**
     * @param string $basePath
     */
    public function __construct($basePath)
    {
        parent::__construct($basePath);
        $storage = Env::get('LARAVEL_STORAGE_PATH');
        if (!is_string($storage) || !str_starts_with($storage, '/')) {
            throw new RuntimeException('LARAVEL_STORAGE_PATH must name the directory that all tasks share');
        }
        $this->useStoragePath(rtrim($storage, '/'));
        $this->createStorage();
    }

    /**
     * @return string
     */
    public function getNamespace()
    {
        return 'App\\';
    }

    /**
     * What the framework caches belongs to the storage.
     *
     * @param string $key
     * @param string $default
     * @return string
     */
    protected function normalizeCachePath($key, $default)
    {
        return $this->storagePath() . '/framework/' . basename($default);
    }

    private function createStorage(): void
    {
        foreach (self::STORAGE_DIRECTORIES as $directory) {
            $path = $this->storagePath() . '/' . $directory;
            // Tasks that start together make it together: only a directory that is still missing is an error.
            if (!is_dir($path) && !@mkdir($path, 0775, true) && !is_dir($path)) {
                throw new RuntimeException("Cannot create the storage directory {$path}");
            }
        }
    }
}
