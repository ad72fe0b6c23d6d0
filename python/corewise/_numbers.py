"""Numbers that a user gives: of any type that has one, but neither a bool nor an array; and CPUs as
numbers of threads."""

from __future__ import annotations

from operator import index

from ._errors import BadType


def whole(value: object, name: str, wanted: str) -> int:
    """A whole number. Raises BadType, which names the option and says what is wanted."""
    if not isinstance(value, bool) and hasattr(value, "__index__"):
        try:
            return index(value)
        except TypeError:  # an array
            pass
    raise _refusal(value, name, wanted)


def real(value: object, name: str, wanted: str) -> float:
    """A number; infinite or not a number where no float can hold it. Raises BadType as `whole`."""
    if not isinstance(value, bool) and (hasattr(value, "__float__") or hasattr(value, "__index__")):
        try:
            return float(value)  # type: ignore[arg-type]
        except TypeError:  # an array
            pass
        except OverflowError:  # a huge whole number
            return float("inf")
        except ValueError:  # Decimal's signalling NaN
            return float("nan")
    raise _refusal(value, name, wanted)


# Without `math`: on many Pythons that is a library, and who follows loads would look at all pools
# just because somebody governs.
def most_that_fit(cpus: float) -> int:
    """More threads than this are too many: of 1.5 CPUs, 2 threads can use all."""
    return max(1, -int((1e-9 - cpus) // 1))


def count_to_set(cpus: float) -> int:
    """The count that the doctor advises too: of 1.5 CPUs 1, as 2 threads wait for one another."""
    return max(1, int(cpus + 1e-9))


def _refusal(value: object, name: str, wanted: str) -> BadType:
    return BadType(f"{name}={value!r} is a {type(value).__name__}: {wanted}")
