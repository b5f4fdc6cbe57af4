"""Checks the types of arguments, which programs without a type checker may give wrongly."""

from numbers import Integral, Real
from typing import get_args

from tribunal.contract import JudgeMode
from tribunal.errors import InvalidInput


def check_judge(value: object, name: str) -> None:
    """Raise InvalidInput that names the option, unless `value` is a mode of the judge or None."""
    modes = get_args(JudgeMode)
    if value is not None and not (isinstance(value, str) and value in modes):
        raise InvalidInput(f"{name} is {value!r}; it must be one of {', '.join(modes)}, or None")


def check_switch(value: object, name: str) -> None:
    """Raise InvalidInput that names the option, unless `value` is True or False."""
    if not isinstance(value, bool):
        raise InvalidInput(f"{name} is {value!r}; it must be True or False")


def is_whole(value: object) -> bool:
    """Whether `value` is a whole number, also of numpy, and not a bool."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Whether `value` is a real number, also of numpy, and not a bool."""
    return isinstance(value, Real) and not isinstance(value, bool)


def is_iterable(value: object) -> bool:
    """Whether `iter` takes `value`, also by its `__getitem__` alone."""
    try:
        iter(value)  # type: ignore[call-overload]
    except TypeError:
        return False
    return True
