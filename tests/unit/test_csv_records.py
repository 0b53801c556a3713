import csv

from ml_api.csv_records import csv_records


def read(lines, longest):
    return [(number, values or wrong) for number, values, wrong in csv_records(iter(lines), str, longest=longest)]


def test_readers_with_limits_of_their_own_do_not_change_each_others():
    long = "x" * 200_000
    lines = ["a,b\n", f"{long}\n", "c\n"]
    narrow = csv_records(iter(lines), str, longest=1_000)
    first = next(narrow)
    assert read(lines, longest=300_000) == [(1, ["a", "b"]), (2, [long]), (3, ["c"])]
    assert [first, *narrow] == [(1, ["a", "b"], ""), (2, None, "not CSV: a record of more than 1,000 characters"), (3, ["c"], "")]


def test_a_quote_that_is_never_closed_takes_no_more_lines_than_a_record_may_have():
    taken = []

    def lines():
        for number in range(1_000):
            taken.append(number)
            yield f'{number},"open\n' if number == 0 else f"{number}\n"

    records = csv_records(lines(), str, longest=100)
    assert next(records) == (1, None, "not CSV: a record of more than 100 characters")
    assert len(taken) < 50
    assert next(records) == (2, ["1"], "")


def test_a_program_that_limits_fields_itself_limits_none_of_ours():
    csv.field_size_limit(10)
    assert read(["a" * 100 + "\n"], longest=1_000) == [(1, ["a" * 100])]
