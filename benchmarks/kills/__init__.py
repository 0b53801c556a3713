"""kill -9 at random moments of commands and of services, over Milvus Lite and a real Milvus server. `__main__` says how."""
