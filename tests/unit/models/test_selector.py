import pytest

from dartjobs.models.selector import Operator, Requirement, SelectorError, all_hold, parse_selector

PROD = {"env": "prod", "tier": "web", "example.com/team": "a"}


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("", ()),
        ("  ", ()),
        ("env=prod", (Requirement("env", Operator.IN, ("prod",)),)),
        ("env == prod", (Requirement("env", Operator.IN, ("prod",)),)),
        ("env!=prod", (Requirement("env", Operator.NOT_IN, ("prod",)),)),
        ("env=", (Requirement("env", Operator.IN, ("",)),)),
        ("env", (Requirement("env", Operator.EXISTS),)),
        ("!env", (Requirement("env", Operator.ABSENT),)),
        ("env in (a, b,a)", (Requirement("env", Operator.IN, ("a", "b")),)),
        ("env notin (a)", (Requirement("env", Operator.NOT_IN, ("a",)),)),
        ("in in (in)", (Requirement("in", Operator.IN, ("in",)),)),
        (
            "example.com/team=a , !draft",
            (Requirement("example.com/team", Operator.IN, ("a",)), Requirement("draft", Operator.ABSENT)),
        ),
    ],
)
def test_kubernetes_syntax_is_read(text: str, parsed: tuple[Requirement, ...]) -> None:
    assert parse_selector(text) == parsed


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("env=prod,", "character 10"),
        ("env=prod tier=web", "character 10"),
        (",", "character 1"),
        ("env in a", "character 8"),
        ("env in (a", "character 10"),
        ("env in (a b)", "character 11"),
        ("env==a=b", "character 7"),
        ("=a", "character 1"),
        ("!", "character 2"),
        ("env=pröd", "character 5"),
        ("-env=a", "character 1"),
        ("env>3", "character 1"),
        ("x" * 5_000, "limit is 4096"),
        (",".join(["a"] * 17), "more than 16"),
        (f"a in ({','.join('b' * n for n in range(1, 64))},c,d)", "more than 64"),
    ],
)
def test_bad_syntax_is_refused_by_its_place(text: str, place: str) -> None:
    with pytest.raises(SelectorError, match=place):
        parse_selector(text)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("env=prod", True),
        ("env!=prod", False),
        ("absent!=prod", True),
        ("absent notin (a,b)", True),
        ("absent=", False),
        ("env in (dev,prod),tier", True),
        ("env in (dev,prod),!tier", False),
    ],
)
def test_meaning_is_that_of_kubernetes(text: str, *, holds: bool) -> None:
    assert all_hold(parse_selector(text), PROD) is holds
