"""Five thousand corrections are learnt in under a minute, without PyTorch."""

import sys
import time

import pytest

from tests.triage.test_learning import corrections
from triage.classifier.reader import shipped_version
from triage.learning.learn import learn

MANY = 5_000
AT_MOST_S = 60.0


@pytest.mark.django_db
def test_many_corrections_are_learnt_in_under_a_minute() -> None:
    corrections(MANY)
    start = time.perf_counter()
    learnt = learn(shipped_version())
    spent = time.perf_counter() - start
    print(
        f"\nlearning from {learnt.version.corrections:,} corrections: {spent:.1f} s "
        f"(target: at most {AT_MOST_S:.0f} s); {learnt.reason}"
    )
    assert learnt.version.corrections == MANY
    assert learnt.version.is_in_force()
    assert "torch" not in sys.modules
    assert spent <= AT_MOST_S
