"""The fuzzer's corpus, without the fuzzer: each input is read, or refused with a message and nothing else."""

from pathlib import Path

import pytest

from benchmarks.whole.fuzz import TARGETS, attempt

CORPUS = {target: sorted((Path(__file__).parent / "corpus" / target).iterdir()) for target in TARGETS}


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_raises_nothing_unexpected(target, tmp_path):
    outcomes = {path.name: attempt(target, path.read_bytes(), tmp_path) for path in CORPUS[target]}
    assert "read" in outcomes.values(), outcomes  # else the fuzzer would start from nothing that works
    assert len(set(outcomes.values())) > 1, outcomes
    assert all(outcome == "read" or str(tmp_path) in outcome for outcome in outcomes.values()), outcomes


def test_the_corpus_is_small():
    assert sum(path.stat().st_size for paths in CORPUS.values() for path in paths) < 100_000
