<?php

declare(strict_types=1);

namespace App\Aws;

use RuntimeException;

/**
 * One service of AWS, asked in signed requests (Signature Version 4). AWS's own SDK is not packaged in Debian, and the
 * three calls that the application makes need no more than this.
 *
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
 */
final class Client
{
    private const ALGORITHM = 'AWS4-HMAC-SHA256';

    /**
     * @param array<string, mixed> $config `aws` of the configuration
     */
    public function __construct(private readonly string $service, private readonly array $config)
    {
    }

    /**
     * Whatever AWS answers, errors too.
     *
     * @param string $path its segments as they are; they are encoded here
     * @param array<string, string> $headers
     * @throws RuntimeException nobody answers
     */
    public function send(string $method, string $path, array $headers = [], string $body = ''): Answer
    {
        $path = implode('/', array_map('rawurlencode', explode('/', $path)));
        $own = "https://{$this->service}.{$this->config['region']}.amazonaws.com";
        $endpoint = rtrim($this->config['endpoint'] ?? $own, '/');
        $headers = $this->signed($method, $path, $this->completed($endpoint, $headers, $body), $body);
        $context = stream_context_create(['http' => [
            'method' => $method,
            'header' => [...self::lines($headers), 'connection:close'],
            'content' => $body,
            'ignore_errors' => true,
            'timeout' => $this->config['seconds'],
        ]]);
        $answer = @file_get_contents($endpoint . $path, false, $context);
        if ($answer === false || !isset($http_response_header[0])) {
            $why = error_get_last()['message'] ?? '';
            throw new RuntimeException("{$this->service} does not answer at {$endpoint}: {$why}");
        }

        return new Answer((int) explode(' ', $http_response_header[0])[1], $answer);
    }

    /**
     * @param array<string, string> $headers
     * @return array<string, string> all that is signed, by name in lower case, in order
     */
    private function completed(string $endpoint, array $headers, string $body): array
    {
        $port = parse_url($endpoint, PHP_URL_PORT);
        $headers += array_filter([
            'host' => parse_url($endpoint, PHP_URL_HOST) . ($port === null ? '' : ":{$port}"),
            'x-amz-content-sha256' => hash('sha256', $body),
            'x-amz-date' => gmdate('Ymd\THis\Z'),
            'x-amz-security-token' => $this->config['token'],
        ]);
        ksort($headers);

        return $headers;
    }

    /**
     * @param array<string, string> $headers
     * @return array<string, string>
     */
    private function signed(string $method, string $path, array $headers, string $body): array
    {
        $names = implode(';', array_keys($headers));
        $canonical = implode("\n", [$method, $path, '', ...self::lines($headers), '', $names, hash('sha256', $body)]);
        $day = substr($headers['x-amz-date'], 0, 8);
        $scope = "{$day}/{$this->config['region']}/{$this->service}/aws4_request";
        $text = implode("\n", [self::ALGORITHM, $headers['x-amz-date'], $scope, hash('sha256', $canonical)]);
        $key = "AWS4{$this->config['secret']}";
        foreach (explode('/', $scope) as $part) {
            $key = hash_hmac('sha256', $part, $key, true);
        }
        $signature = hash_hmac('sha256', $text, $key);
        $headers['authorization'] = self::ALGORITHM
            . " Credential={$this->config['key']}/{$scope}, SignedHeaders={$names}, Signature={$signature}";

        return $headers;
    }

    /**
     * @param array<string, string> $headers
     * @return list<string>
     */
    private static function lines(array $headers): array
    {
        return array_map(static fn (string $name): string => "{$name}:{$headers[$name]}", array_keys($headers));
    }
}
