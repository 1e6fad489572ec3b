-- What is the same in every sandbox; tenants and what hangs on them are written by `pytest_envdr.sandbox.envelope.database`.

INSERT INTO plans (id, code, name, monthly_price, features) VALUES
    (1, 'letter', 'Letter', 9.00, JSON_OBJECT('users', 3)),
    (2, 'parcel', 'Parcel', 49.90, JSON_OBJECT('users', 25, 'sso', FALSE)),
    (3, 'freight', 'Freight 🚢', 499.00, JSON_OBJECT('users', NULL, 'sso', TRUE));

INSERT INTO notes (id, body, created_at) VALUES
    (1, 'Willkommen 🎉', '2024-01-01 00:00:00'),
    (2, 'Second note', '2024-01-02 00:00:00.123456');
