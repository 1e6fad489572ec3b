<?php

declare(strict_types=1);

namespace App\Http\Controllers;

use App\Tenancy\Tenants;
use Illuminate\Database\Connection;
use Illuminate\Http\JsonResponse;
use Illuminate\Http\Request;
use stdClass;

final class OrderController
{
    private const NEWEST = 50;

    public function index(string $slug): JsonResponse
    {
        $orders = Tenants::connect($slug)->table('order_summaries')->orderByDesc('id')->limit(self::NEWEST)->get();

        return new JsonResponse(['tenant' => $slug, 'orders' => $orders]);
    }

    public function show(string $slug, string $id): JsonResponse
    {
        return new JsonResponse(['tenant' => $slug, 'order' => $this->order(Tenants::connect($slug), (int) $id)]);
    }

    /**
     * Body: {"customer_id": 1, "items": [{"product_id": 2, "quantity": 3}], "note": "..."}, all optional.
     */
    public function store(Request $request, string $slug): JsonResponse
    {
        $database = Tenants::connect($slug);
        $id = $database->transaction(function () use ($database, $request): int {
            $id = $this->insertOrder($database, (int) $request->json('customer_id', 1), $request->json('note'));
            foreach ($request->json('items', [['product_id' => 1, 'quantity' => 1]]) as $item) {
                $this->insertItem($database, $id, (int) $item['product_id'], (int) $item['quantity']);
            }
            $this->setTotal($database, $id);

            return $id;
        });

        return new JsonResponse(['tenant' => $slug, 'order' => $this->order($database, $id)], 201);
    }

    private function insertOrder(Connection $database, int $customer, ?string $note): int
    {
        return $database->table('orders')->insertGetId([
            'customer_id' => $customer,
            'number' => 'W-' . bin2hex(random_bytes(8)),
            'status' => 'placed',
            'placed_at' => now()->format('Y-m-d H:i:s.u'),
            'note' => $note,
        ]);
    }

    private function insertItem(Connection $database, int $order, int $product, int $quantity): void
    {
        $price = $database->table('products')->where('id', $product)->value('price');
        abort_if($price === null, 422, "There is no product {$product}");
        $database->table('order_items')->insert([
            'order_id' => $order,
            'product_id' => $product,
            'quantity' => $quantity,
            'unit_price' => $price,
        ]);
    }

    private function setTotal(Connection $database, int $id): void
    {
        $database->update(
            'UPDATE orders SET total = (SELECT SUM(line_total) FROM order_items WHERE order_id = orders.id) WHERE id = ?',
            [$id],
        );
    }

    private function order(Connection $database, int $id): stdClass
    {
        $order = $database->table('orders')->find($id);
        abort_if($order === null, 404, "There is no order {$id}");
        $order->items = $database->table('order_items')->where('order_id', $id)->orderBy('id')->get();

        return $order;
    }
}
