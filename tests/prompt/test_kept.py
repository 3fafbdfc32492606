from server.prompt.kept import Compilable, Kept


def grammar(text: str) -> Compilable:
    return Compilable(text, 0)


def test_the_least_recently_used_goes_first() -> None:
    kept = Kept(limit=10)
    for key in (b"a", b"b"):
        kept.get(key, lambda: grammar("12345"))
    kept.get(b"a", lambda: grammar(""))
    kept.get(b"c", lambda: grammar("1"))
    assert [key in kept for key in (b"a", b"b", b"c")] == [True, False, True]
    assert kept.get(b"a", lambda: grammar("")).text == "12345"


def test_what_is_longer_than_all_may_be_is_made_each_time() -> None:
    kept = Kept(limit=3)
    assert kept.get(b"a", lambda: grammar("1234")).text == "1234"
    assert b"a" not in kept
    assert kept.get(b"a", lambda: grammar("5678")).text == "5678"
