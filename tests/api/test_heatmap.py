"""Where in a stored image a text is found, over HTTP."""

from tests.api.stand import assert_problem


def test_a_heat_map_covers_the_picture_and_says_what_its_ends_are(client, stand):
    answer = client.get(f"/v1/images/{stand.id('red.png')}/heatmap?q=red").get_json()
    assert (len(answer["heat"]), {len(row) for row in answer["heat"]}) == (answer["rows"], {answer["columns"]})
    assert all(0 <= share <= 1 for row in answer["heat"] for share in row)
    assert answer["least"] <= answer["greatest"]
    assert answer["whole"] > 0.5


def test_a_text_is_needed(client, stand):
    address = f"/v1/images/{stand.id('red.png')}/heatmap"
    assert_problem(client.get(address), 400, "invalid-query")
    assert_problem(client.get(f"{address}?q=%20"), 400, "invalid-query")
    assert_problem(client.get(f"{address}?q=red&limit=3"), 400, "invalid-query")


def test_a_file_that_is_gone_is_said(client, stand):
    image_id = stand.id("red.png")
    stand.services.corpus.delete("red.png")
    assert_problem(client.get(f"/v1/images/{image_id}/heatmap?q=red"), 404, "not-found")
