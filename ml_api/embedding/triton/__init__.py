"""CLIP on a Triton server: inputs are prepared here, the forward pass happens there, for all replicas together.

`encoder` is this side. `repository` writes what the server loads: `serving` and the modules that it needs.
"""
