<?php

declare(strict_types=1);

namespace App\Dr\Queue;

use App\Queue\SqsClient;
use AsyncAws\Sqs\Exception\MessageNotInflightException;
use Closure;
use Generator;

/**
 * A dead-letter queue, looked through message by message: SQS shows none without handing it out. What is not taken is
 * visible to others again at once. (Receiving counts nothing here: there is no redrive policy behind it.)
 */
final class DeadLetters
{
    private const COUNTS = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'];
    private const BATCH = 10;
    private const MOST = 1_000;
    private const HELD_SECONDS = 20;
    /** How long others may have some of them in hand, who look through it as well. */
    private const PATIENCE_SECONDS = 3.0;

    public function __construct(private readonly SqsClient $sqs, private readonly string $url)
    {
    }

    /**
     * How many messages there are, by a queue's attributes.
     *
     * @param array<string, string> $attributes
     */
    public static function sum(array $attributes): int
    {
        return (int) array_sum(array_intersect_key($attributes, array_flip(self::COUNTS)));
    }

    /**
     * @param Closure(string): bool $taken Given a message's body: whether the message has been dealt with, and is to go.
     */
    public function walk(Closure $taken): void
    {
        $kept = [];
        try {
            foreach ($this->messages() as $receipt => $body) {
                if ($taken($body)) {
                    $this->sqs->deleteMessage(['QueueUrl' => $this->url, 'ReceiptHandle' => $receipt]);
                } else {
                    $kept[] = $receipt;
                }
            }
        } finally {
            foreach ($kept as $receipt) {
                $seen = ['QueueUrl' => $this->url, 'ReceiptHandle' => $receipt, 'VisibilityTimeout' => 0];
                try {
                    $this->sqs->changeMessageVisibility($seen);
                } catch (MessageNotInflightException) {
                    // It has become visible by itself.
                }
            }
        }
    }

    /**
     * @return Generator<string, string>
     */
    private function messages(): Generator
    {
        $counted = $this->sqs->getQueueAttributes(['QueueUrl' => $this->url, 'AttributeNames' => self::COUNTS]);
        $left = min(self::sum($counted->get('Attributes')), self::MOST);
        $end = microtime(true) + self::PATIENCE_SECONDS;
        $request = [
            'QueueUrl' => $this->url,
            'MaxNumberOfMessages' => self::BATCH,
            'VisibilityTimeout' => self::HELD_SECONDS,
        ];
        while ($left > 0 && microtime(true) < $end) {
            $batch = $this->sqs->receiveMessage($request)->get('Messages');
            foreach ($batch as $message) {
                $left--;
                yield $message['ReceiptHandle'] => $message['Body'];
            }
            if ($batch === []) {
                usleep(100_000);
            }
        }
    }
}
