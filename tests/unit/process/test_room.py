"""What is said of a full disk."""

from paperpath.process.room import Room
from paperpath.telemetry.log import Log


def test_it_is_said_when_it_begins_and_when_it_is_over() -> None:
    lines: list[str] = []
    now = [100.0]
    room = Room(Log("queue", lambda data: lines.append(data.decode()), lambda: 0.0), lambda: now[0])

    def said() -> list[str]:
        texts = [line.strip().partition(" ")[2] for line in lines]
        lines.clear()
        return texts

    room.is_there()
    assert said() == []
    room.lacks("no room for a claim")
    room.lacks("no room", refused=1)
    assert said() == ['alert storage.full process=queue error="no room for a claim"']
    now[0] += 59
    room.is_there()  # a small one
    room.lacks("no room", refused=1)
    now[0] += 59
    room.is_there()
    assert said() == []
    now[0] += 1
    room.is_there()
    room.is_there()
    assert said() == ["notice storage.free process=queue refused=2 duration_s=59.000"]
    room.lacks("no room", refused=1)
    now[0] += 60
    room.is_there()
    full, free = said()
    assert "storage.full" in full and "refused=1" in free
