"""A test ends where it ends, whatever its page still asks for."""

from tests.e2e.page.stage import visiting


def test_answers_that_are_still_changed_when_a_test_ends_fail_nothing_after_it(browser, server):
    def change(route):
        response = route.fetch()
        route.fulfill(response=response, json=response.json())

    for _ in range(6):  # without the end of changes, about every second one failed
        context = browser.new_context()
        with visiting(context, server) as visit:
            visit.page.route("**/v1/search/text?*", change)
            visit.open("/")
            for word in ("red", "blue", "green"):
                visit.page.evaluate("word => void fetch(`/v1/search/text?q=${word}`)", word)
        context.close()
