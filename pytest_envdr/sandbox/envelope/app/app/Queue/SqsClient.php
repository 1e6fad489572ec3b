<?php

declare(strict_types=1);

namespace App\Queue;

use AsyncAws\Core\Result;
use AsyncAws\Sqs\SqsClient as AsyncAws;
use AsyncAws\Sqs\ValueObject\Message;
use Illuminate\Support\Collection;

/**
 * What Laravel's queue asks of AWS's own SDK, which Debian does not package, asked of AsyncAws, which it does.
 *
 * A request is an array with the API's own names, and so is an answer.
 */
final class SqsClient
{
    public function __construct(private readonly AsyncAws $sqs)
    {
    }

    /**
     * @param array<string, mixed> $request
     * @return Collection<string, string>
     */
    public function sendMessage(array $request): Collection
    {
        return new Collection(['MessageId' => $this->sqs->sendMessage($request)->getMessageId()]);
    }

    /**
     * @param array<string, mixed> $request
     * @return Collection<string, list<array<string, mixed>>>
     */
    public function receiveMessage(array $request): Collection
    {
        return new Collection(['Messages' => array_map(
            static fn (Message $message): array => [
                'MessageId' => $message->getMessageId(),
                'ReceiptHandle' => $message->getReceiptHandle(),
                'Body' => $message->getBody(),
                'Attributes' => $message->getAttributes(),
            ],
            $this->sqs->receiveMessage($request)->getMessages(),
        )]);
    }

    /**
     * @param array<string, mixed> $request
     * @return Collection<string, array<string, string>>
     */
    public function getQueueAttributes(array $request): Collection
    {
        return new Collection(['Attributes' => $this->sqs->getQueueAttributes($request)->getAttributes()]);
    }

    /**
     * @param array<string, mixed> $request
     */
    public function deleteMessage(array $request): void
    {
        self::done($this->sqs->deleteMessage($request));
    }

    /**
     * @param array<string, mixed> $request
     */
    public function changeMessageVisibility(array $request): void
    {
        self::done($this->sqs->changeMessageVisibility($request));
    }

    /**
     * For `queue:clear`, which no drill calls.
     *
     * @param array<string, mixed> $request
     */
    public function purgeQueue(array $request): void
    {
        self::done($this->sqs->purgeQueue($request));
    }

    /**
     * Waits for the answer, and throws where it is an error.
     */
    private static function done(Result $result): void
    {
        $result->resolve();
    }
}
