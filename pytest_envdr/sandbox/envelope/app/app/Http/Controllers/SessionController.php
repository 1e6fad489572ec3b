<?php

declare(strict_types=1);

namespace App\Http\Controllers;

use App\Tenancy\Session;
use Illuminate\Http\JsonResponse;
use Illuminate\Http\Request;

final class SessionController
{
    /**
     * Body: {"email": "zoe1@acme.example", "password": "..."}.
     */
    public function store(Request $request, string $slug): JsonResponse
    {
        $token = Session::begin($slug, (string) $request->json('email'), (string) $request->json('password'));
        abort_if($token === null, 401, 'No user of this tenant has that password');

        return new JsonResponse(['tenant' => $slug, 'token' => $token]);
    }

    public function show(Request $request, string $slug): JsonResponse
    {
        $user = Session::user($slug, (string) $request->bearerToken());
        abort_if($user === null, 401, 'Not logged in');

        return new JsonResponse(['tenant' => $slug, 'user' => $user]);
    }
}
