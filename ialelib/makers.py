"""Which params files of a profile make what another one needs: policies, and tables of curves."""

from collections.abc import Mapping
from itertools import chain
from typing import Any


def wanted(values: Mapping[str, Any]) -> set[str]:
    """Names of policies and paths of tables that a params file asks for."""
    lists = [values.get(name) or [] for name in ("policies", "compared", "curves")]
    single = [[values[name]] for name in ("policy", "alil") if values.get(name)]
    return set(chain.from_iterable(lists + single))


def made(stem: str, values: Mapping[str, Any]) -> set[str]:
    """Names of policies and paths of tables that it makes, as `strict.Params.makes` has them."""
    table = f"{values.get('figures')}/{stem.split('-')[0]}_curves.csv"
    saved = values.get("save_policy")
    return {table, saved} if saved else {table}


def makers(stem: str, profile: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The params files, by stem, that make what one of them needs; `profile` has their values."""
    wants = wanted(profile[stem])
    return [other for other, values in profile.items() if made(other, values) & wants]


def needed(stem: str, profile: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A params file and all that it needs, and they need in turn, in the profile's order."""
    found, new = set[str](), {stem}
    while new:
        found |= new
        new = {maker for name in new for maker in makers(name, profile)} - found
    return [name for name in profile if name in found]
