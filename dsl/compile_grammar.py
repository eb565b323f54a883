"""Make the parser's table of the grammar: ``python -m dsl.compile_grammar``, after a change of grammar.lark.

lark needs longer to read a grammar and to compute its LALR(1) states than all the rest of a check takes. The grammar
changes rarely, so this is done once: the states stand in grammar.json, and a test compares them with the grammar.
"""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_START = "file"


def compile_grammar() -> str:
    """The text of grammar.json, the same for the same grammar.

    ``words`` are the reserved words, ``tokens`` the patterns of the other tokens. A rule is ``[name, symbol, size,
    children]``, as `dsl.grammar.Rule` has them. A state has the states that follow a token (``shift``) or a symbol that
    was made (``goto``), and the numbers of the rules that are complete, with the tokens that may follow (``reduce``).
    """
    from lark import Lark

    lark = Lark(_HERE.joinpath("grammar.lark").read_text("utf-8"), parser="lalr", lexer="basic", start=_START)
    spelling = {terminal.name: terminal.pattern.value for terminal in lark.terminals if terminal.pattern.type == "str"}
    spelling["$END"] = "end of file"
    patterns = {terminal.name: terminal.pattern.value for terminal in lark.terminals if terminal.pattern.type == "re"}
    rules = sorted(lark.rules, key=str)
    parse_table = lark.parser.parser.parser.parse_table
    table = {
        "words": sorted(text for text in spelling.values() if text.isidentifier()),
        "tokens": {name: pattern for name, pattern in sorted(patterns.items()) if not name.startswith("__")},
        "rules": [_rule(rule) for rule in rules],
        "states": _states(parse_table, {rule: number for number, rule in enumerate(rules)}, spelling),
    }
    return "{" + ",\n".join(f"{json.dumps(key)}: {_lines(value)}" for key, value in table.items()) + "}\n"


def _rule(rule: Any) -> list[Any]:
    """How lark would make a tree of this rule (see ``lark.parse_tree_builder``), in numbers."""
    options = rule.options
    children: list[int | None] = []
    absent = list(options.empty_indices) or [False] * len(rule.expansion)
    symbols = iter(enumerate(rule.expansion))
    for is_absent in absent:
        if is_absent:
            children.append(None)
            continue
        index, symbol = next(symbols)
        if options.keep_all_tokens or not (symbol.is_term and symbol.filter_out):
            children.append(index)
    hands_on = rule.origin.name.startswith("_") or (options.expand1 and rule.alias is None)
    return [None if hands_on else rule.alias or rule.origin.name, rule.origin.name, len(rule.expansion), children]


def _states(parse_table: Any, rules: dict[Any, int], spelling: dict[str, str]) -> list[dict[str, Any]]:
    """The states, numbered in the order in which they are reached from the first one: lark's own numbers vary."""
    first = parse_table.start_states[_START]
    numbers = {first: 0}
    waiting = deque([first])
    states = []
    while waiting:
        state: dict[str, dict[str, Any]] = {"shift": {}, "goto": {}, "reduce": {}}
        for symbol, (action, target) in sorted(parse_table.states[waiting.popleft()].items()):
            if action.name == "Reduce":
                state["reduce"].setdefault(str(rules[target]), []).append(spelling.get(symbol, symbol))
                continue
            if target not in numbers:
                numbers[target] = len(numbers)
                waiting.append(target)
            kind, name = ("shift", spelling.get(symbol, symbol)) if symbol.isupper() else ("goto", symbol)
            state[kind][name] = numbers[target]
        states.append(state)
    return states


def _lines(value: Any) -> str:
    """JSON with one entry of the outermost list or object on a line."""
    if isinstance(value, dict):
        return "{\n" + ",\n".join(f"{json.dumps(key)}: {json.dumps(item)}" for key, item in value.items()) + "}"
    return "[\n" + ",\n".join(map(json.dumps, value)) + "]"


if __name__ == "__main__":
    _HERE.joinpath("grammar.json").write_text(compile_grammar(), "utf-8")
