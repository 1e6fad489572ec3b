<?php

declare(strict_types=1);

namespace App\Reverb;

use Throwable;

/**
 * One client: first HTTP, then, when it asked for that, WebSocket.
 */
final class Connection
{
    private const CHUNK = 65536;
    private const LONGEST_REQUEST = 16384;

    private string $input = '';
    private string $output = '';
    private string $message = '';
    private bool $upgraded = false;
    private bool $closing = false;
    private bool $gone = false;
    private float $lastHeard;

    /**
     * @param resource $socket
     */
    public function __construct(public readonly mixed $socket)
    {
        $this->lastHeard = microtime(true);
    }

    public function read(): void
    {
        $chunk = @fread($this->socket, self::CHUNK);
        if ($chunk === false || ($chunk === '' && feof($this->socket))) {
            $this->gone = true;

            return;
        }
        $this->lastHeard = microtime(true);
        $this->input .= $chunk;
        $this->upgraded ? $this->readFrames() : $this->readRequest();
    }

    public function write(): void
    {
        if ($this->output === '') {
            return;
        }
        $written = @fwrite($this->socket, $this->output);
        if ($written === false) {
            $this->gone = true;
        } else {
            $this->output = substr($this->output, $written);
        }
    }

    /**
     * The server ends: 1001, "going away".
     */
    public function goAway(): void
    {
        if ($this->upgraded) {
            $this->output .= Frame::close(1001);
            $this->write();
        }
    }

    public function hasOutput(): bool
    {
        return $this->output !== '';
    }

    public function isClosed(): bool
    {
        return $this->gone || ($this->closing && $this->output === '');
    }

    public function idleSeconds(): float
    {
        return microtime(true) - $this->lastHeard;
    }

    private function readRequest(): void
    {
        $end = strpos($this->input, "\r\n\r\n");
        if ($end === false) {
            $this->gone = strlen($this->input) > self::LONGEST_REQUEST;

            return;
        }
        $request = Request::parse(substr($this->input, 0, $end));
        $this->input = substr($this->input, $end + 4);
        $response = Handshake::answer($request);
        $this->output .= $response->text;
        $this->upgraded = $response->status === 101;
        $this->closing = !$this->upgraded;
        fwrite(STDOUT, sprintf("[%s] %s %s %d\n", gmdate('c'), $request->method, $request->target, $response->status));
        if ($this->upgraded) {
            $this->output .= Frame::text(Protocol::established());
            $this->readFrames();
        }
    }

    private function readFrames(): void
    {
        try {
            while (!$this->closing && ($frame = Frame::take($this->input)) !== null) {
                $this->handle($frame);
            }
        } catch (ProtocolError $error) {
            $this->close($error->getCode());
        }
    }

    private function handle(Frame $frame): void
    {
        match ($frame->opcode) {
            Frame::CONTINUATION, Frame::TEXT, Frame::BINARY => $this->collect($frame),
            Frame::CLOSE => $this->close(1000),
            Frame::PING => $this->output .= Frame::pong($frame->payload),
            Frame::PONG => null,
            default => throw new ProtocolError("opcode {$frame->opcode}", 1002),
        };
    }

    private function collect(Frame $frame): void
    {
        $this->message .= $frame->payload;
        if (strlen($this->message) > Frame::LONGEST) {
            throw new ProtocolError('message too big', 1009);
        }
        if ($frame->final) {
            [$message, $this->message] = [$this->message, ''];
            $this->reply($message);
        }
    }

    private function reply(string $message): void
    {
        try {
            $answer = Protocol::answer($message);
        } catch (Throwable $error) {
            report($error);
            $answer = Protocol::error('Internal server error', 4200);
        }
        if ($answer !== null) {
            $this->output .= Frame::text($answer);
        }
    }

    private function close(int $code): void
    {
        $this->output .= Frame::close($code);
        $this->closing = true;
    }
}
