<?php

declare(strict_types=1);

namespace App\Queue;

use AsyncAws\Sqs\SqsClient as AsyncAws;
use Illuminate\Queue\Connectors\ConnectorInterface;

/**
 * Laravel's queue over SQS, with credentials and Region where AWS's own programs look for them: environment, task role.
 */
final class SqsConnector implements ConnectorInterface
{
    /** The name by which the framework's classes demand a client. */
    private const NAME_IN_FRAMEWORK = 'Aws\Sqs\SqsClient';

    /**
     * @param array<string, mixed> $config
     */
    public function connect(array $config): SqsQueue
    {
        require_once 'AsyncAws/Sqs/autoload.php';
        if (!class_exists(self::NAME_IN_FRAMEWORK)) {
            class_alias(SqsClient::class, self::NAME_IN_FRAMEWORK);
        }
        $options = array_filter(['endpoint' => $config['endpoint'] ?? null, 'region' => $config['region']]);

        return new SqsQueue(
            new SqsClient(new AsyncAws($options)),
            $config['queue'],
            $config['prefix'] ?? '',
            $config['suffix'] ?? '',
            $config['after_commit'] ?? false,
        );
    }
}
