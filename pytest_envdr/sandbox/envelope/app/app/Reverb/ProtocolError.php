<?php

declare(strict_types=1);

namespace App\Reverb;

use RuntimeException;

/**
 * The client broke RFC 6455; the code is the one to close with.
 */
final class ProtocolError extends RuntimeException
{
}
