"""Arbitrary grants, as they reach the teams of real runtimes."""

import pytest
from test_govern import RUNTIMES, run

TEAMS = """
import json, sys, cw
p = cw.probe(sys.argv[1])
try: cw.govern(2)
except RuntimeError as error: print(json.dumps(str(error))); sys.exit()
p.probe_set_threads(8)
print(json.dumps([p.probe_team() for _ in range(6)] + [p.probe_team_clause(2)]))
"""


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_grants_are_those_asked_for(runtime):
    assert run(TEAMS, runtime, COREWISE_TRY_GRANTS="") == [2] * 7
    assert run(TEAMS, runtime, COREWISE_TRY_GRANTS="5") == [5] * 6 + [2]
    teams = run(TEAMS, runtime, COREWISE_TRY_GRANTS="random:3")
    assert len(set(teams[:6])) > 1
    assert run(TEAMS, runtime, COREWISE_TRY_GRANTS="random:3") == teams
    assert run(TEAMS, runtime, COREWISE_TRY_GRANTS="random:3", COREWISE_BEND="") == [8] * 6 + [2]


def test_grants_that_make_no_sense_are_refused():
    assert "COREWISE_TRY_GRANTS" in run(TEAMS, RUNTIMES[0], COREWISE_TRY_GRANTS="none")
