-- A tenant's rows, the same each time for the same @slug and @seed: all that varies comes from a hash of both.

INSERT INTO categories (id, parent_id, name)
SELECT seq, IF(seq <= 4, NULL, 1 + (seq MOD 4)), CONCAT(ELT(1 + seq MOD 6, 'Papier', 'Encre', 'Enveloppes', '封筒', 'Büro', 'Timbres 📮'), ' ', seq)
FROM seq_1_to_12 ORDER BY seq;

INSERT INTO customers (id, uuid, name, email, phone, preferences, credit, created_at)
SELECT seq,
    INSERT(INSERT(INSERT(INSERT(MD5(CONCAT(@seed, @slug, 'customer', seq)), 9, 0, '-'), 14, 0, '-'), 19, 0, '-'), 24, 0, '-'),
    CONCAT(
        ELT(1 + CRC32(CONCAT(@seed, @slug, 'first', seq)) MOD 10, 'Ada', 'Zoë', 'Łukasz', '美咲', 'José', 'Ingrid', 'Ödön', 'Nuño', 'Chloé', 'Олег'), ' ',
        ELT(1 + CRC32(CONCAT(@seed, @slug, 'last', seq)) MOD 8, 'Müller', 'O''Brien', 'García', '佐藤', 'Škoda', 'Nguyễn', 'Dupont', 'Ivanova')
    ),
    IF(seq MOD 9 = 0, NULL, CONCAT('customer', seq, '@', @slug, '.example')),
    IF(seq MOD 4 = 0, NULL, CONCAT('+352 ', 600000000 + CRC32(CONCAT(@seed, @slug, 'phone', seq)) MOD 99999999)),
    IF(seq MOD 7 = 0, NULL, JSON_OBJECT('newsletter', seq MOD 2 = 0, 'locale', ELT(1 + seq MOD 3, 'de', 'fr', 'ja'), 'tags', JSON_ARRAY('a', seq))),
    (CAST(CRC32(CONCAT(@seed, @slug, 'credit', seq)) AS SIGNED) MOD 2000000 - 1000000) / 100,
    '2024-01-01 08:00:00.000001' + INTERVAL seq * 7919 SECOND
FROM seq_1_to_100 ORDER BY seq;

INSERT INTO products (id, category_id, sku, name, description, price, weight, attributes)
SELECT seq, 1 + seq MOD 12, CONCAT(UPPER(@slug), '-', LPAD(seq, 5, '0')), CONCAT('Envelope C', seq MOD 8, ' №', seq),
    IF(seq MOD 3 = 0, NULL, CONCAT('Plain, ', REPEAT('strong ', seq MOD 9), '& cheap 💌', IF(seq MOD 10 = 0, '\n\ttwo lines; "quoted" \\ back', ''))),
    (1 + CRC32(CONCAT(@seed, @slug, 'price', seq)) MOD 990000) / 10000,
    IF(seq MOD 5 = 0, NULL, seq / 7),
    JSON_OBJECT('colour', ELT(1 + seq MOD 3, 'white', 'brown', 'grün'), 'window', seq MOD 2 = 1, 'sizes', JSON_ARRAY(seq, seq + 1))
FROM seq_1_to_80 ORDER BY seq;

INSERT INTO orders (id, customer_id, number, status, note, placed_at)
SELECT seq, 1 + CRC32(CONCAT(@seed, @slug, 'buyer', seq)) MOD 100, CONCAT(UPPER(@slug), '-', 100000 + seq),
    1 + CRC32(CONCAT(@seed, @slug, 'status', seq)) MOD 4,
    IF(seq MOD 6 = 0, CONCAT('Bitte klingeln 🔔 ', seq), NULL),
    '2024-03-01 00:00:00' + INTERVAL seq * 8111 SECOND + INTERVAL CRC32(CONCAT(@seed, @slug, 'at', seq)) MOD 1000000 MICROSECOND
FROM seq_1_to_300 ORDER BY seq;

INSERT INTO order_items (id, order_id, product_id, quantity, unit_price)
SELECT seq, 1 + seq MOD 300, products.id, 1 + CRC32(CONCAT(@seed, @slug, 'quantity', seq)) MOD 12, products.price
FROM seq_1_to_600 JOIN products ON products.id = 1 + CRC32(CONCAT(@seed, @slug, 'product', seq)) MOD 80 ORDER BY seq;

UPDATE orders SET total = (SELECT SUM(line_total) FROM order_items WHERE order_items.order_id = orders.id);

INSERT INTO payments (id, order_id, method, amount, refunded, paid_at)
SELECT id, id, 1 + id MOD 3, total, IF(id MOD 11 = 0, ROUND(total / 2, 2), NULL), placed_at + INTERVAL 3600 SECOND
FROM orders WHERE status IN ('paid', 'shipped') ORDER BY id;

-- The same bytes are in the tenant's bucket under object_key: envelope/buckets.py computes them alike.
INSERT INTO documents (id, customer_id, filename, mime, object_key, sha256, content)
SELECT id, IF(id MOD 5 = 0, NULL, id), filename, 'application/pdf', CONCAT('documents/', id, '/', filename), UNHEX(SHA2(content, 256)), content
FROM (
    SELECT seq AS id, CONCAT('scan-', seq, IF(seq MOD 2 = 0, '-ünïcode', ''), '.pdf') AS filename,
        CONCAT('%PDF-1.4\n', CHAR(0, 255, 254, 10, 13 USING binary), REPEAT(UNHEX(SHA2(CONCAT(@seed, @slug, 'scan', seq), 512)), 1 + seq MOD 24)) AS content
    FROM seq_1_to_20
) AS scans ORDER BY id;

INSERT INTO messages (id, customer_id, channel, body, read_at, sent_at)
SELECT seq, IF(seq MOD 8 = 0, NULL, 1 + seq MOD 100), ELT(1 + seq MOD 3, 'mail', 'chat', 'sms'),
    CONCAT(ELT(1 + seq MOD 5, 'Où est mon colis ? 📦', 'Danke! 🙏🏽', '請問還有貨嗎？', 'Thanks 👩‍👩‍👧‍👦', 'مرحبا'), ' #', CRC32(CONCAT(@seed, @slug, 'message', seq))),
    IF(seq MOD 3 = 0, NULL, '2024-06-01' + INTERVAL seq HOUR), '2024-05-31 12:00:00.5' + INTERVAL seq HOUR
FROM seq_1_to_120 ORDER BY seq;

INSERT INTO settings (name, value) VALUES
    ('company', JSON_OBJECT('slug', @slug, 'currency', 'EUR')),
    ('opening_hours', JSON_ARRAY('09:00', '17:30')),
    ('greeting', JSON_QUOTE('Grüß Gott 👋')),
    ('theme', JSON_OBJECT('primary', CONCAT('#', LEFT(MD5(CONCAT(@seed, @slug, 'theme')), 6)))),
    ('unset', NULL);

CALL refresh_daily_totals();
