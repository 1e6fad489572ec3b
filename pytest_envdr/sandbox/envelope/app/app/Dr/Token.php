<?php

declare(strict_types=1);

namespace App\Dr;

use Illuminate\Http\Request;
use Symfony\Component\HttpKernel\Exception\UnprocessableEntityHttpException;

/**
 * What a client outside sends and wants to see again.
 */
final class Token
{
    private const LONGEST = 191;

    public static function from(Request $request): string
    {
        $body = json_decode((string) $request->getContent(), true);

        return self::check(is_array($body) ? ($body['value'] ?? null) : $request->query('value'));
    }

    public static function check(mixed $value): string
    {
        if (!is_string($value) || $value === '' || mb_strlen($value) > self::LONGEST) {
            throw new UnprocessableEntityHttpException('"value" must be a string of 1 to ' . self::LONGEST . ' characters');
        }

        return $value;
    }
}
