CREATE TABLE customers (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT,
    uuid CHAR(36) NOT NULL,
    name VARCHAR(200) NOT NULL,
    email VARCHAR(191) NULL,
    phone VARCHAR(40) NULL,
    preferences JSON NULL,
    credit DECIMAL(14, 2) NOT NULL DEFAULT 0,
    created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    PRIMARY KEY (id),
    UNIQUE KEY customers_uuid (uuid),
    KEY customers_name (name)
);

CREATE TABLE categories (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT,
    parent_id INT UNSIGNED NULL,
    name VARCHAR(100) NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT categories_parent FOREIGN KEY (parent_id) REFERENCES categories (id)
);

CREATE TABLE products (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT,
    category_id INT UNSIGNED NOT NULL,
    sku VARCHAR(40) NOT NULL,
    name VARCHAR(200) NOT NULL,
    description TEXT NULL,
    price DECIMAL(12, 4) NOT NULL,
    weight DOUBLE NULL,
    attributes JSON NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY products_sku (sku),
    CONSTRAINT products_category FOREIGN KEY (category_id) REFERENCES categories (id)
);

CREATE TABLE orders (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT,
    customer_id INT UNSIGNED NOT NULL,
    number VARCHAR(40) NOT NULL,
    status ENUM('placed', 'paid', 'shipped', 'cancelled') NOT NULL DEFAULT 'placed',
    total DECIMAL(14, 4) NOT NULL DEFAULT 0,
    note TEXT NULL,
    placed_at DATETIME(6) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY orders_number (number),
    KEY orders_placed_at (placed_at),
    CONSTRAINT orders_customer FOREIGN KEY (customer_id) REFERENCES customers (id)
);

CREATE TABLE order_items (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT,
    order_id INT UNSIGNED NOT NULL,
    product_id INT UNSIGNED NOT NULL,
    quantity SMALLINT UNSIGNED NOT NULL,
    unit_price DECIMAL(12, 4) NOT NULL,
    line_total DECIMAL(14, 4) AS (quantity * unit_price) STORED,
    PRIMARY KEY (id),
    CONSTRAINT order_items_order FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE,
    CONSTRAINT order_items_product FOREIGN KEY (product_id) REFERENCES products (id)
);

CREATE TABLE payments (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT,
    order_id INT UNSIGNED NOT NULL,
    method ENUM('card', 'transfer', 'voucher') NOT NULL,
    amount DECIMAL(14, 2) NOT NULL,
    refunded DECIMAL(14, 2) NULL,
    paid_at DATETIME(6) NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT payments_order FOREIGN KEY (order_id) REFERENCES orders (id)
);

CREATE TABLE documents (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT,
    customer_id INT UNSIGNED NULL,
    filename VARCHAR(200) NOT NULL,
    mime VARCHAR(100) NOT NULL,
    object_key VARCHAR(255) NOT NULL,
    sha256 BINARY(32) NOT NULL,
    content MEDIUMBLOB NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY documents_object_key (object_key),
    CONSTRAINT documents_customer FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE SET NULL
);

CREATE TABLE messages (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT,
    customer_id INT UNSIGNED NULL,
    channel VARCHAR(20) NOT NULL,
    body TEXT NOT NULL,
    read_at DATETIME(6) NULL,
    sent_at DATETIME(6) NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT messages_customer FOREIGN KEY (customer_id) REFERENCES customers (id)
);

CREATE TABLE settings (
    name VARCHAR(100) NOT NULL,
    value JSON NULL,
    PRIMARY KEY (name)
);

CREATE TABLE audit_log (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    table_name VARCHAR(64) NOT NULL,
    row_id BIGINT UNSIGNED NOT NULL,
    action VARCHAR(20) NOT NULL,
    detail JSON NULL,
    at DATETIME(6) NOT NULL,
    PRIMARY KEY (id),
    KEY audit_log_row (table_name, row_id)
);

CREATE TABLE daily_totals (
    day DATE NOT NULL,
    orders INT UNSIGNED NOT NULL,
    total DECIMAL(18, 4) NOT NULL,
    PRIMARY KEY (day)
);

CREATE TABLE dr_heartbeat (
    sequence BIGINT UNSIGNED NOT NULL,
    written_at DATETIME(6) NOT NULL,
    writer VARCHAR(45) NOT NULL,
    PRIMARY KEY (sequence)
);

CREATE VIEW order_summaries AS
SELECT orders.id, orders.number, orders.status, orders.total, orders.placed_at, customers.name AS customer
FROM orders JOIN customers ON customers.id = orders.customer_id;

CREATE TRIGGER orders_audited AFTER INSERT ON orders FOR EACH ROW
INSERT INTO audit_log (table_name, row_id, action, detail, at)
VALUES ('orders', NEW.id, 'insert', JSON_OBJECT('number', NEW.number, 'customer', NEW.customer_id), NEW.placed_at);

CREATE FUNCTION customer_revenue(customer INT UNSIGNED) RETURNS DECIMAL(18, 4) READS SQL DATA
RETURN (SELECT COALESCE(SUM(total), 0) FROM orders WHERE customer_id = customer AND status <> 'cancelled');

CREATE PROCEDURE refresh_daily_totals() MODIFIES SQL DATA
REPLACE INTO daily_totals (day, orders, total)
SELECT DATE(placed_at), COUNT(*), SUM(total) FROM orders WHERE status <> 'cancelled' GROUP BY DATE(placed_at);

CREATE EVENT refresh_daily_totals ON SCHEDULE EVERY 1 HOUR DO CALL refresh_daily_totals();
