"""What watches the service: its local stack, runbooks, log pipeline."""
