"""When it happens: the Celery app, its schedule, thin tasks, and the process tree."""
