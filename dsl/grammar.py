"""The table of the grammar, as the parser walks it: grammar.json (see `dsl.compile_grammar`) with its parts named."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

END = "end of file"


@dataclass(frozen=True, slots=True)
class Rule:
    """A complete rule of the grammar.

    Attributes:
        name: of the method that makes its tree; None hands the children on.
        symbol: what it makes.
        size: how many symbols it is made of.
        children: which of them the method gets; None stands for an option that is left out.
        is_list: it makes a part of a list, which grows until a rule with a method takes it.
        is_unit: it only gives what it is made of another name.
    """

    name: str | None
    symbol: str
    size: int
    children: tuple[int | None, ...]
    is_list: bool
    is_unit: bool


@dataclass(frozen=True, slots=True)
class State:
    """What can come next: a token is shifted to another state, or it shows that a rule is complete."""

    shift: dict[str, int]
    goto: dict[str, int]
    reduce: dict[str, Rule]


@dataclass(frozen=True, slots=True)
class Grammar:
    words: frozenset[str]
    tokens: dict[str, str]
    states: tuple[State, ...]


@cache
def grammar() -> Grammar:
    table = json.loads(Path(__file__).with_name("grammar.json").read_text("utf-8"))
    rules = [_rule(*row) for row in table["rules"]]
    states = []
    for state in table["states"]:
        complete = {token: rules[int(number)] for number, tokens in state["reduce"].items() for token in tokens}
        states.append(State(state["shift"], state["goto"], complete))
    return Grammar(frozenset(table["words"]), table["tokens"], tuple(states))


def _rule(name: str | None, symbol: str, size: int, children: list[int | None]) -> Rule:
    is_list = symbol.startswith("_")
    return Rule(name, symbol, size, tuple(children), is_list, is_unit=name is None and not is_list)
