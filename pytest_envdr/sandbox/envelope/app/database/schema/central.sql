CREATE TABLE plans (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT,
    code VARCHAR(32) NOT NULL,
    name VARCHAR(100) NOT NULL,
    monthly_price DECIMAL(10, 2) NOT NULL,
    features JSON NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY plans_code (code)
);

CREATE TABLE tenants (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT,
    slug VARCHAR(63) NOT NULL,
    name VARCHAR(200) NOT NULL,
    database_name VARCHAR(64) NOT NULL,
    status ENUM('active', 'suspended', 'provisioning') NOT NULL DEFAULT 'active',
    bucket VARCHAR(63) NULL,
    settings JSON NULL,
    created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    PRIMARY KEY (id),
    UNIQUE KEY tenants_slug (slug),
    UNIQUE KEY tenants_database_name (database_name)
);

CREATE TABLE domains (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT,
    tenant_id INT UNSIGNED NOT NULL,
    domain VARCHAR(191) NOT NULL,
    verified_at DATETIME(6) NULL,
    PRIMARY KEY (id),
    UNIQUE KEY domains_domain (domain),
    CONSTRAINT domains_tenant FOREIGN KEY (tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE TABLE users (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT,
    tenant_id INT UNSIGNED NULL,
    name VARCHAR(200) NOT NULL,
    email VARCHAR(191) NOT NULL,
    password VARCHAR(255) NOT NULL,
    last_seen_at DATETIME(6) NULL,
    created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    PRIMARY KEY (id),
    UNIQUE KEY users_email (email),
    CONSTRAINT users_tenant FOREIGN KEY (tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE TABLE subscriptions (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT,
    tenant_id INT UNSIGNED NOT NULL,
    plan_id INT UNSIGNED NOT NULL,
    monthly_price DECIMAL(10, 2) NOT NULL,
    balance DECIMAL(14, 4) NOT NULL DEFAULT 0,
    started_on DATE NOT NULL,
    ends_on DATE NULL,
    PRIMARY KEY (id),
    KEY subscriptions_ends_on (ends_on),
    CONSTRAINT subscriptions_tenant FOREIGN KEY (tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    CONSTRAINT subscriptions_plan FOREIGN KEY (plan_id) REFERENCES plans (id)
);

CREATE TABLE notes (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    body TEXT NOT NULL,
    created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    PRIMARY KEY (id)
);

CREATE TABLE failed_jobs (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    uuid VARCHAR(191) NOT NULL,
    connection TEXT NOT NULL,
    queue TEXT NOT NULL,
    payload LONGTEXT NOT NULL,
    exception LONGTEXT NOT NULL,
    failed_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (id),
    UNIQUE KEY failed_jobs_uuid (uuid)
);

CREATE TABLE dr_probe (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    value VARCHAR(191) NOT NULL,
    service VARCHAR(32) NOT NULL,
    task VARCHAR(45) NOT NULL,
    written_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    PRIMARY KEY (id)
);

CREATE TABLE dr_jobs (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    value VARCHAR(191) NOT NULL,
    dispatched_at DATETIME(6) NULL,
    started_at DATETIME(6) NULL,
    done_at DATETIME(6) NULL,
    worker VARCHAR(45) NULL,
    runs INT UNSIGNED NOT NULL DEFAULT 0,
    PRIMARY KEY (id),
    UNIQUE KEY dr_jobs_value (value)
);

CREATE TABLE dr_outbox (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    exercise VARCHAR(64) NOT NULL,
    business_id VARCHAR(191) NOT NULL,
    kind VARCHAR(16) NOT NULL,
    orders JSON NOT NULL,
    uuid VARCHAR(191) NULL,
    written_at DATETIME(6) NOT NULL,
    dispatched_at DATETIME(6) NULL,
    dispatches INT UNSIGNED NOT NULL DEFAULT 0,
    PRIMARY KEY (id),
    UNIQUE KEY dr_outbox_business_id (business_id),
    KEY dr_outbox_exercise (exercise)
);

CREATE TABLE dr_runs (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    exercise VARCHAR(64) NOT NULL,
    business_id VARCHAR(191) NOT NULL,
    uuid VARCHAR(191) NOT NULL,
    attempt INT UNSIGNED NOT NULL,
    worker VARCHAR(45) NOT NULL,
    started_at DATETIME(6) NOT NULL,
    finished_at DATETIME(6) NULL,
    outcome VARCHAR(16) NULL,
    PRIMARY KEY (id),
    KEY dr_runs_exercise (exercise),
    KEY dr_runs_business_id (business_id)
);

CREATE TABLE dr_effects (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    exercise VARCHAR(64) NOT NULL,
    business_id VARCHAR(191) NOT NULL,
    run_id BIGINT UNSIGNED NOT NULL,
    applied_at DATETIME(6) NOT NULL,
    tenant VARCHAR(191) NULL,
    PRIMARY KEY (id),
    UNIQUE KEY dr_effects_business_id (business_id),
    KEY dr_effects_exercise (exercise)
);

CREATE TABLE dr_heartbeat (
    sequence BIGINT UNSIGNED NOT NULL,
    written_at DATETIME(6) NOT NULL,
    writer VARCHAR(45) NOT NULL,
    database_count INT UNSIGNED NOT NULL,
    PRIMARY KEY (sequence)
);
