"""Is the stack of docker-compose.yml up and whole? Run on the machine whose Docker engine runs it."""
