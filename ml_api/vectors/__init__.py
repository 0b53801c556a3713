"""Seam 2: keeping vectors and finding the nearest."""
