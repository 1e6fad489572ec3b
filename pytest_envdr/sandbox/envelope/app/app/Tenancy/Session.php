<?php

declare(strict_types=1);

namespace App\Tenancy;

use Illuminate\Contracts\Encryption\DecryptException;
use Illuminate\Database\Query\Builder;
use Illuminate\Support\Facades\Crypt;
use Illuminate\Support\Facades\DB;
use stdClass;

/**
 * A user of one tenant who is logged in, as a token that APP_KEY encrypts: who has the key can tell, in any Region.
 */
final class Session
{
    private const LASTS_SECONDS = 12 * 3600;

    /**
     * The token of a user whose password this is; null where there is none.
     */
    public static function begin(string $slug, string $email, string $password): ?string
    {
        $user = self::users($slug)->where('email', $email)->first();
        $hash = hash('sha256', $password);
        if ($user === null || !hash_equals((string) $user->password, $hash)) {
            return null;
        }
        $until = now()->getTimestamp() + self::LASTS_SECONDS;

        return Crypt::encryptString(json_encode(['user' => $user->id, 'tenant' => $slug, 'until' => $until], JSON_THROW_ON_ERROR));
    }

    /**
     * The user whose token it is; null where it is none of this tenant's, or its time is over.
     */
    public static function user(string $slug, string $token): ?stdClass
    {
        try {
            $said = json_decode(Crypt::decryptString($token), true, 4, JSON_THROW_ON_ERROR);
        } catch (DecryptException) {
            return null;
        }
        if ($said['tenant'] !== $slug || $said['until'] < now()->getTimestamp()) {
            return null;
        }

        return self::users($slug)->where('id', $said['user'])->first(['id', 'name', 'email']);
    }

    private static function users(string $slug): Builder
    {
        return DB::table('users')->where('tenant_id', Tenants::find($slug)->id);
    }
}
