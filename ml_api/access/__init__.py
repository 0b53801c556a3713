"""Who may do what: API keys with scopes, and the sessions of the search page. Keeps nothing but hashes of either."""

from ml_api.access.scopes import PUBLIC, Scope

__all__ = ["PUBLIC", "Scope"]
