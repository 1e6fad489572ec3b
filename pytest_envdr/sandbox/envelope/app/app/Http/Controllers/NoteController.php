<?php

declare(strict_types=1);

namespace App\Http\Controllers;

use Illuminate\Http\JsonResponse;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\DB;

final class NoteController
{
    private const NEWEST = 50;

    public function index(): JsonResponse
    {
        return new JsonResponse(['notes' => DB::table('notes')->orderByDesc('id')->limit(self::NEWEST)->get()]);
    }

    public function store(Request $request): JsonResponse
    {
        $body = $request->json('body');
        abort_unless(is_string($body) && $body !== '', 422, '"body" must be a text');
        $id = DB::table('notes')->insertGetId(['body' => $body]);

        return new JsonResponse(['note' => DB::table('notes')->find($id)], 201);
    }

    public function show(string $id): JsonResponse
    {
        $note = DB::table('notes')->find((int) $id);
        abort_if($note === null, 404, "There is no note {$id}");

        return new JsonResponse(['note' => $note]);
    }
}
