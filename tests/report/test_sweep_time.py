"""How long a sweep took beside what was foreseen."""

from hwds.report.sweep import core_time, time_sentence

TOOK = {"cells": 120, "core_seconds": 3600.0, "seconds": 1900.0}


def test_the_estimate_and_its_range():
    assert core_time(20.0, 10.0, 40.0) == "about 20 s of one core (10 s to 40 s)"
    assert core_time(3600.0, 1800.0, 7200.0) == "about 1 core-hours (0.5 to 2)"
    assert core_time(3.6e6, 1.8e6, 7.2e6) == "about 1,000 core-hours (500 to 2,000)"


def test_how_good_it_was():
    foreseen = {"core_seconds": 3000.0, "low": 1500.0, "high": 6000.0, "seconds": 1500.0}
    said = time_sentence({"took": TOOK, "foreseen": foreseen})
    assert said == (
        "The 120 cells took 60.0 min of one core, 31.7 min by the clock;"
        " foreseen were about 0.83 core-hours (0.42 to 1.7): 1.20 times the estimate, within its "
        "range."
    )
    assert "outside of its range" in time_sentence(
        {"took": TOOK, "foreseen": foreseen | {"high": 3100.0}}
    )
    assert time_sentence({"took": TOOK}).endswith("had never been timed on this dataset.")
    assert time_sentence({}) == ""
