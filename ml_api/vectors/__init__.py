"""Stores vectors with their records, and finds the nearest ones. `base` has the contract; `services` chooses the implementation."""
