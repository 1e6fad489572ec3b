<?php

declare(strict_types=1);

namespace App\Http\Controllers;

use App\Tenancy\Founding;
use App\Tenancy\Tenants;
use Illuminate\Http\JsonResponse;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\DB;

final class TenantController
{
    private const COLUMNS = ['id', 'slug', 'name', 'status', 'database_name', 'created_at'];
    /** With what stands before it, it must be the name of a bucket and of a host. */
    private const SLUG = '/^[a-z](?:-?[a-z0-9]){1,39}$/D';
    private const LONGEST_NAME = 200;
    private const LONGEST_EXERCISE = 64;

    public function index(): JsonResponse
    {
        return new JsonResponse(['tenants' => DB::table('tenants')->orderBy('id')->get(self::COLUMNS)]);
    }

    public function show(string $slug): JsonResponse
    {
        $tenant = Tenants::find($slug);
        $domains = DB::table('domains')->where('tenant_id', $tenant->id)->orderBy('id')->pluck('domain');

        return new JsonResponse(['tenant' => $tenant, 'domains' => $domains]);
    }

    /**
     * Body: {"slug": "acme", "name": "Acme & Söhne", "exercise": "..."}; `exercise` is whose it is, where a drill makes
     * it.
     */
    public function store(Request $request): JsonResponse
    {
        $slug = $request->json('slug');
        $fits = is_string($slug) && preg_match(self::SLUG, $slug) === 1;
        abort_unless($fits, 422, '"slug" must be letters a to z, digits and single dashes, a letter first; 2 to 40');
        $name = self::text($request, 'name', self::LONGEST_NAME);
        $exercise = self::text($request, 'exercise', self::LONGEST_EXERCISE, optional: true);

        return new JsonResponse(Founding::create($slug, $name, $exercise), 201);
    }

    private static function text(Request $request, string $field, int $longest, bool $optional = false): ?string
    {
        $value = $request->json($field);
        $fits = is_string($value) && trim($value) !== '' && mb_strlen($value) <= $longest;
        $fits = $fits || ($optional && $value === null);
        abort_unless($fits, 422, "\"{$field}\" must be a text of 1 to {$longest} characters");

        return $value;
    }
}
