"""README is short, and its first screen has what a newcomer needs."""

from pathlib import Path

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def test_readme_is_short() -> None:
    assert len(README.splitlines()) < 150


def test_the_first_screen_of_readme() -> None:
    screen = README.partition("\n## What is wrong")[0]
    assert len(screen.splitlines()) < 60
    told = [
        "slow, because",
        "NUM_THREADS exceeded",
        "pip install",
        "%load_ext corewise",
        "%threads openmp=8 blas=4",
        "corewise run -- ",
        "| crashes |",
        "slower than tuning by hand",
    ]
    places = [screen.find(words) for words in told]
    assert -1 not in places and places == sorted(places)
