<?php

declare(strict_types=1);

use Illuminate\Database\Migrations\Migration;
use Illuminate\Support\Facades\DB;

return new class () extends Migration {
    /**
     * The schema is kept as SQL: the same file makes the sandbox's database.
     */
    public function up(): void
    {
        DB::unprepared((string) file_get_contents(database_path('schema/central.sql')));
    }
};
