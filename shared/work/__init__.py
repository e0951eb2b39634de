"""How work moves: PostgreSQL is the queue of record, Celery on Redis only wakes workers."""
