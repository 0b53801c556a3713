"""Who may ask what, for every route there is."""

from ml_api.api.authorization import PUBLIC_ENDPOINTS, SCOPE


def test_every_route_declares_its_scope_or_is_public_by_name(shared_stand):
    app = shared_stand.app
    endpoints = {rule.endpoint for rule in app.url_map.iter_rules()}
    silent = {name for name in endpoints - PUBLIC_ENDPOINTS if not hasattr(app.view_functions[name], SCOPE)}
    assert not silent, "say `scope=` in `operation(...)`"
    assert endpoints >= PUBLIC_ENDPOINTS
