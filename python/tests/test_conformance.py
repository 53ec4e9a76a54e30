"""ONNX's own operator tests through the backend adapter."""

import pytest

pytest.importorskip("onnx")

from dwindle import backend

# Tests that passed when this was last raised. It may only grow.
LEAST_PASSED = 1190


@pytest.fixture(scope="module")
def outcomes():
    return backend.run_cases(backend.node_cases())


def test_nothing_is_wrong(outcomes):
    wrong = [f"{o.name} ({o.op}): {o.why}" for o in outcomes if o.verdict == "wrong"]
    assert not wrong, "\n".join(wrong)


def test_a_refusal_names_an_operator(outcomes):
    for outcome in outcomes:
        if outcome.verdict == "refused":
            assert any(word[0].isupper() for word in outcome.why.split()), outcome


def test_enough_passes(outcomes):
    passed = sum(outcome.verdict == "passed" for outcome in outcomes)
    assert passed >= LEAST_PASSED


def test_a_wrong_answer_is_seen():
    case = next(case for case in backend.node_cases() if case.name == "test_concat_1d_axis_0")
    case.data_sets[0][1][0] = case.data_sets[0][1][0] + 1
    assert backend.run_case(case).verdict == "wrong"
