"""Seam 1: turning text and images into vectors of one space."""
