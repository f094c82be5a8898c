from paperpath.base.bounded import make_room


def test_the_first_entry_makes_room_and_only_where_none_is_left() -> None:
    table = {"a": 1, "b": 2}
    make_room(table, 3)
    assert table == {"a": 1, "b": 2}
    make_room(table, 2)
    assert table == {"b": 2}
