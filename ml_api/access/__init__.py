"""Access control: API keys with scopes, and the sessions of the search page.

The database holds nothing but hashes of either. No request waits for the database: what it holds is in memory, too (`Access`).
"""

from ml_api.access.access import Access, Session
from ml_api.access.keys import ApiKey
from ml_api.access.scopes import PUBLIC, Scope

__all__ = ["PUBLIC", "Access", "ApiKey", "Scope", "Session"]
