<?php

declare(strict_types=1);

namespace App\Http\Controllers;

use App\Tenancy\Bucket;
use App\Tenancy\Tenants;
use Illuminate\Database\Connection;
use Illuminate\Http\JsonResponse;
use Illuminate\Http\Request;
use stdClass;

/**
 * A tenant's documents: a row in its database, the bytes in its bucket. Without a bucket there is no new row either.
 */
final class DocumentController
{
    private const NEWEST = 50;
    private const LONGEST = 100;
    private const MIME = 'application/octet-stream';

    public function index(string $slug): JsonResponse
    {
        $columns = ['id', 'filename', 'mime', 'object_key'];
        $documents = Tenants::connect($slug)->table('documents')->orderByDesc('id')->limit(self::NEWEST)->get($columns);

        return new JsonResponse(['tenant' => $slug, 'documents' => $documents]);
    }

    /**
     * The bytes are those in the bucket.
     */
    public function show(string $slug, string $id): JsonResponse
    {
        $document = Tenants::connect($slug)->table('documents')->find((int) $id);
        abort_if($document === null, 404, "There is no document {$id}");
        $content = (new Bucket(Tenants::find($slug)))->get($document->object_key);

        return new JsonResponse(['tenant' => $slug, 'document' => self::told($document, $content)]);
    }

    /**
     * Body: {"filename": "scan.pdf", "content": "<base64>"}.
     */
    public function store(Request $request, string $slug): JsonResponse
    {
        [$filename, $content] = [$request->json('filename'), $request->json('content')];
        $fits = is_string($filename) && preg_match('~^[^/]{1,' . self::LONGEST . '}$~Du', $filename) === 1;
        abort_unless($fits, 422, '"filename" must be a name of 1 to ' . self::LONGEST . ' characters');
        $bytes = is_string($content) ? base64_decode($content, true) : false;
        abort_if($bytes === false || $bytes === '', 422, '"content" must be base64');
        $database = Tenants::connect($slug);
        $document = $database->transaction(
            static fn (): stdClass => self::stored($database, new Bucket(Tenants::find($slug)), $filename, $bytes),
        );

        return new JsonResponse(['tenant' => $slug, 'document' => self::told($document, $bytes)], 201);
    }

    private static function stored(Connection $database, Bucket $bucket, string $filename, string $bytes): stdClass
    {
        $digest = hash('sha256', $bytes);
        $id = $database->table('documents')->insertGetId([
            'filename' => $filename,
            'mime' => self::MIME,
            'object_key' => bin2hex(random_bytes(8)),
            'sha256' => hex2bin($digest),
            'content' => $bytes,
        ]);
        $key = "documents/{$id}/{$filename}";
        $database->table('documents')->where('id', $id)->update(['object_key' => $key]);
        $bucket->put($key, $bytes, [
            'content-type' => self::MIME,
            'x-amz-meta-document' => (string) $id,
            'x-amz-meta-sha256' => $digest,
            'x-amz-tagging' => 'class=document',
        ]);

        return $database->table('documents')->find($id);
    }

    /**
     * @return array<string, mixed>
     */
    private static function told(stdClass $document, string $content): array
    {
        return [
            'id' => $document->id,
            'filename' => $document->filename,
            'object_key' => $document->object_key,
            'sha256' => bin2hex($document->sha256),
            'content' => base64_encode($content),
        ];
    }
}
