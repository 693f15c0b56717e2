"""The transition table: forward only, no cycle, no way out of an outcome."""

from hypothesis import given
from hypothesis import strategies as st

from dartjobs.models.state import INITIAL, LEGAL_PAIRS, MOVES, JobState, Pair, ResourceState, is_legal_move, neighbours

RESOURCES, JOBS = list(ResourceState), list(JobState)
any_pair = st.builds(Pair, st.sampled_from(RESOURCES), st.sampled_from(JOBS))
legal_pair = st.sampled_from(list(LEGAL_PAIRS))


def rank(pair: Pair) -> int:
    jobs = {JobState.WAITING: 0, JobState.RUNNING: 1, JobState.STOPPING: 2}
    return RESOURCES.index(pair.resource_state) * 10 + jobs.get(pair.job_state, 3)


@given(any_pair, any_pair)
def test_no_move_leaves_or_enters_an_illegal_pair(source: Pair, target: Pair) -> None:
    if is_legal_move(source, target):
        assert source in LEGAL_PAIRS
        assert target in LEGAL_PAIRS


@given(legal_pair, legal_pair)
def test_every_move_goes_forward(source: Pair, target: Pair) -> None:
    if is_legal_move(source, target):
        assert rank(target) > rank(source)
        assert not is_legal_move(target, source)


@given(legal_pair, legal_pair)
def test_an_outcome_is_kept(source: Pair, target: Pair) -> None:
    if source.job_state.is_final and is_legal_move(source, target):
        assert target.job_state is source.job_state


@given(legal_pair, legal_pair, legal_pair)
def test_a_service_that_was_away_may_skip_what_it_missed(first: Pair, second: Pair, third: Pair) -> None:
    if is_legal_move(first, second) and is_legal_move(second, third):
        assert is_legal_move(first, third)


def test_every_pair_is_reached_from_the_first_and_reaches_an_end() -> None:
    assert MOVES[INITIAL] == LEGAL_PAIRS.keys() - {INITIAL}
    ends = {pair for pair in LEGAL_PAIRS if not MOVES[pair]}
    assert {pair.resource_state for pair in ends} == {ResourceState.TERMINATED}
    assert all(MOVES[pair] & ends for pair in LEGAL_PAIRS if pair not in ends)


def test_the_diagram_has_the_paths_of_every_move() -> None:
    edges = set(neighbours())
    for source in LEGAL_PAIRS:
        reached: set[Pair] = set()
        todo = [source]
        while todo:
            here = todo.pop()
            following = {target for origin, target in edges if origin == here} - reached
            reached |= following
            todo.extend(following)
        assert reached == MOVES[source]
