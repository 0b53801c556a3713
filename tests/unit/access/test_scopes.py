"""Which scope grants what."""

from ml_api.access import Scope


def test_admin_includes_everything_and_write_does_not_include_search():
    assert {held: [wanted for wanted in Scope if wanted.is_granted_by(frozenset({held}))] for held in Scope} == {
        Scope.SEARCH: [Scope.SEARCH],
        Scope.WRITE: [Scope.WRITE],
        Scope.ADMIN: [Scope.SEARCH, Scope.WRITE, Scope.ADMIN],
    }


def test_no_scope_grants_nothing():
    assert not [wanted for wanted in Scope if wanted.is_granted_by(frozenset())]
