"""The table of the PostgreSQL peer, and the indexes that its listing deserves.

A B-tree gives one order and its reverse, but what is absent comes last in both: hence two for each field that may be.
"""

TABLE = "customers"
COLUMNS = {
    "id": "uuid PRIMARY KEY",
    "owner_id": "text NOT NULL",
    "customer_id": "text NOT NULL",
    "name": "text",
    "surname": "text",
    "email": "text",
    "phone": "text",
    "status": "text",
    "agent_id": "uuid",
    "created_at": "timestamptz NOT NULL",
    "updated_at": "timestamptz NOT NULL",
    "deleted_at": "timestamptz",
    "version": "integer NOT NULL",
    "name_key": 'text COLLATE "C"',
    "surname_key": 'text COLLATE "C"',
    "email_key": 'text COLLATE "C"',
    "phone_key": 'text COLLATE "C"',
    "customer_id_key": 'text COLLATE "C" NOT NULL',
    "status_key": 'text COLLATE "C"',
    "search": "text NOT NULL",
}
LIVE = "WHERE deleted_at IS NULL"
NULLABLE = ("name_key", "surname_key", "email_key", "phone_key")
INDEXES = (
    f"CREATE INDEX ON {TABLE} (owner_id, created_at, id) {LIVE}",
    f"CREATE INDEX ON {TABLE} (owner_id, created_at, id)",
    f"CREATE INDEX ON {TABLE} (owner_id, created_at, id) WHERE deleted_at IS NOT NULL",
    f"CREATE INDEX ON {TABLE} (owner_id, updated_at, id) {LIVE}",
    f"CREATE INDEX ON {TABLE} (owner_id, customer_id_key, id) {LIVE}",
    f"CREATE INDEX ON {TABLE} (owner_id, status_key, created_at, id) {LIVE}",
    f"CREATE INDEX ON {TABLE} (owner_id, status_key DESC NULLS LAST, created_at DESC, id DESC) {LIVE}",
    *(f"CREATE INDEX ON {TABLE} (owner_id, {key}, id) {LIVE}" for key in NULLABLE),
    *(f"CREATE INDEX ON {TABLE} (owner_id, {key} DESC NULLS LAST, id DESC) {LIVE}" for key in NULLABLE),
    f"CREATE INDEX ON {TABLE} USING gin (search gin_trgm_ops)",
)
