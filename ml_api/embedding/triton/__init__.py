"""CLIP on a Triton server: inputs are prepared in this service, and the server computes the forward pass, for all replicas
together.

`encoder` is the client. `repository` writes what the server loads: `serving` and the modules that it needs.
"""
