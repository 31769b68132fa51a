"""Background tasks: Celery, its metrics, and dead letters."""
