"""The HTTP edge: parsing, routes, the error table and the OpenAPI document. Knows services, never their implementations."""
