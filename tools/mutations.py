"""Faults to plant in a source file, one at a time: each is a small change that some test should notice.

Only the parts of the text that change are replaced, so line numbers stay. Left alone are annotations, docstrings,
messages (f-strings) and decorators, which say nothing that a test of behaviour could see.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

COMPARISON, LIMIT, LOGIC, CONDITION, LITERAL, RAISE, CALL, JUMP = (
    "comparison", "limit", "logic", "condition", "literal", "raise", "call", "jump",
)  # fmt: skip
KINDS = {
    COMPARISON: "a comparison flipped (== !=, < >=, is, in; a constant-time one) or moved by its boundary (< <=)",
    LIMIT: "a number in a comparison one more or one less",
    LOGIC: "and for or, or for and, an operand left out",
    CONDITION: "a condition or a yes-or-no result negated",
    LITERAL: "True for False, another number",
    RAISE: "an error not raised",
    CALL: "a call left out whose result nobody uses",
    JUMP: "break for continue",
}

_FLIPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_BOUNDARY: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
}  # fmt: skip
_CONSTANT_TIME = {"equal", "compare_digest"}
_CONDITIONAL = (ast.If, ast.While, ast.IfExp)
_PLAIN_CONDITIONS = (ast.Compare, ast.UnaryOp, ast.Constant)
"""Conditions that another kind negates already."""


@dataclass(frozen=True)
class Mutant:
    """One planted fault: where it is, what it changes, and the bytes to put in place of `start` to `end`."""

    path: str
    line: int
    function: str
    kind: str
    change: str
    start: int
    end: int
    replacement: bytes

    @property
    def name(self) -> str:
        """What a list of reviewed mutants knows it by; line numbers would not last."""
        return f"{self.path} | {self.function} | {self.change}"

    def planted_in(self, source: bytes) -> bytes:
        """Return the source with the fault in it."""
        return source[: self.start] + self.replacement + source[self.end :]


def mutants_of(path: str, source: bytes) -> list[Mutant]:
    """Return all mutants of a file in the order of its lines; each has a name of its own."""
    found = sorted(_Walk(path, source).mutants(), key=lambda mutant: (mutant.start, mutant.end, mutant.kind))
    seen: dict[str, int] = {}
    named: list[Mutant] = []
    for mutant in found:
        times = seen[mutant.name] = seen.get(mutant.name, 0) + 1
        change = mutant.change if times == 1 else f"{mutant.change} ({times})"
        named.append(Mutant(**{**vars(mutant), "change": change}))
    return named


class _Walk:
    """A walk over one file that knows each node's parent and function."""

    def __init__(self, path: str, source: bytes) -> None:
        self._path, self._source = path, source
        self._tree = ast.parse(source, path)
        self._line_starts = [0]
        for line in source.splitlines(keepends=True):
            self._line_starts.append(self._line_starts[-1] + len(line))
        self._parents: dict[ast.AST, ast.AST] = {}
        self._functions: dict[ast.AST, str] = {}

    def mutants(self) -> Iterator[Mutant]:
        for node in list(self._visited(self._tree, "module")):
            if isinstance(node, ast.Compare):
                yield from self._comparisons(node)
            elif isinstance(node, ast.BoolOp):
                yield from self._logic(node)
            elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
                yield self._made(node, CONDITION, ast.unparse(node.operand))
            elif isinstance(node, ast.Call) and _called(node) in _CONSTANT_TIME:
                yield self._made(node, COMPARISON, f"not {ast.unparse(node)}")
            elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int):
                yield from self._literals(node)
            elif isinstance(node, ast.Raise):
                yield self._made(node, RAISE, "pass")
            elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                yield self._made(node, CALL, "pass")
            elif isinstance(node, ast.Continue):
                yield self._made(node, JUMP, "break")
            yield from self._conditions(node)

    def _visited(self, node: ast.AST, function: str) -> Iterator[ast.AST]:
        """Yield the nodes below `node` that may change, their parents first."""
        skipped: set[ast.AST] = set(getattr(node, "decorator_list", []))
        skipped |= {part for part in (getattr(node, "annotation", None), getattr(node, "returns", None)) if part}
        for child in ast.iter_child_nodes(node):
            if child in skipped or isinstance(child, ast.JoinedStr):
                continue
            inside = function
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                inside = child.name if function == "module" else f"{function}.{child.name}"
            self._parents[child], self._functions[child] = node, inside
            yield child
            yield from self._visited(child, inside)

    def _comparisons(self, node: ast.Compare) -> Iterator[Mutant]:
        for place, operator in enumerate(node.ops):
            for table in (_FLIPPED, _BOUNDARY):
                other = table.get(type(operator))
                if other is not None:
                    changed = copy.deepcopy(node)
                    changed.ops[place] = other()
                    yield self._made(node, COMPARISON, ast.unparse(changed))

    def _logic(self, node: ast.BoolOp) -> Iterator[Mutant]:
        swapped = copy.deepcopy(node)
        swapped.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield self._made(node, LOGIC, ast.unparse(swapped))
        for place in range(len(node.values)):
            rest = [value for index, value in enumerate(node.values) if index != place]
            kept = rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
            yield self._made(node, LOGIC, ast.unparse(kept))

    def _literals(self, node: ast.Constant) -> Iterator[Mutant]:
        parent = self._parents[node]
        if isinstance(node.value, bool):
            yield self._made(node, LITERAL, str(not node.value))
        elif isinstance(parent, ast.Compare):
            yield self._made(node, LIMIT, str(node.value + 1))
            yield self._made(node, LIMIT, str(node.value - 1))
        elif isinstance(node.value, int):
            yield self._made(node, LITERAL, str(node.value + 1))

    def _conditions(self, node: ast.AST) -> Iterator[Mutant]:
        tests = [node.test] if isinstance(node, _CONDITIONAL) else getattr(node, "ifs", [])
        if isinstance(node, ast.Return) and node.value is not None and self._is_yes_or_no(node):
            tests = [node.value]
        for test in tests:
            constant_time = isinstance(test, ast.Call) and _called(test) in _CONSTANT_TIME
            no_answer = isinstance(test, ast.Name) and test.id == "NotImplemented"
            if not isinstance(test, _PLAIN_CONDITIONS) and not constant_time and not no_answer:
                yield self._made(test, CONDITION, ast.unparse(ast.UnaryOp(ast.Not(), test)))

    def _is_yes_or_no(self, node: ast.AST) -> bool:
        """Whether the function around `node` says that it returns a bool."""
        while not isinstance(node, ast.FunctionDef):
            node = self._parents[node]
        return isinstance(node.returns, ast.Name) and node.returns.id == "bool"

    def _made(self, node: ast.AST, kind: str, after: str) -> Mutant:
        start, end = self._span(node)
        whole = isinstance(node, ast.stmt | ast.Constant)
        replacement = (after if whole else f"({after})").encode()
        shown = self._parents[node] if isinstance(node, ast.Constant) else node
        if not hasattr(shown, "lineno") or hasattr(shown, "body"):
            shown = node
        shown_start, shown_end = self._span(shown)
        before = self._source[shown_start:shown_end].decode()
        changed = self._source[shown_start:start].decode() + after + self._source[end:shown_end].decode()
        change = " ".join(f"{before} -> {changed}".split())
        line = getattr(node, "lineno", 0)
        return Mutant(self._path, line, self._functions[node], kind, change, start, end, replacement)

    def _span(self, node: ast.AST) -> tuple[int, int]:
        """Return where a node begins and ends, in bytes."""
        assert isinstance(node, ast.expr | ast.stmt | ast.keyword | ast.arg)
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return (
            self._line_starts[node.lineno - 1] + node.col_offset,
            self._line_starts[node.end_lineno - 1] + node.end_col_offset,
        )


def _called(node: ast.Call) -> str:
    """Return the last part of the name that is called; "" where it has none."""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""
