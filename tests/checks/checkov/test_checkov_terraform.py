"""What Terraform code settles: expressions, blocks, override files, and whose record a key is."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest
from checkov.runner_filter import RunnerFilter
from checkov.terraform.checks.resource.registry import resource_registry
from checkov.terraform.runner import Runner
from checkov_cases import CHECKS, FIXTURES, STATE, verdicts
from hypothesis import example, given
from hypothesis import strategies as st

VALUES = {
    ("var", "on"): True,
    ("var", "off"): False,
    ("var", "nothing"): None,
    ("var", "stage"): "dev",
    ("var", "keys"): {"a": {"on": False}},
    ("var", "list"): ["a", True],
}


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    resource_registry.load_external_checks(str(CHECKS))


def helper(name: str) -> ModuleType:
    return importlib.import_module(name)


def value(text: str) -> object:
    """The value of an expression; "?" where it is not settled."""
    expressions = helper("terraform_expressions")
    unsettled = expressions.UNSETTLED
    found = expressions.evaluate(
        helper("terraform_hcl").expression(text), lambda *name: VALUES.get(name, unsettled)
    )
    return "?" if found is unsettled else found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", True),
        ("null", None),
        ("-1", -1),
        ("1.5", 1.5),
        ("9" * 5000, "?"),
        ('"a\\n$${x}"', "a\n${x}"),
        ('"${var.on}"', True),
        ('"${var.on}-x"', "?"),
        ('"%{ if var.on }a%{ endif }"', "?"),
        ("<<-EOT\n  a\n  EOT\n", "?"),
        ("!(var.on && var.off)", True),
        ("!var.on && var.off", False),
        ("!(var.on && var.x)", "?"),
        ("var.off && var.x", False),
        ("var.on || var.x", True),
        ("var.off || var.x", "?"),
        ("var.on || var.off && var.off", True),
        ("(var.on || var.off) && var.off", False),
        ('var.stage == "dev" && var.nothing == null', True),
        ('var.on == "true"', "?"),
        ("var.list == []", "?"),
        ("1 + 1 == 2", True),
        ("2 > 1 != true", False),
        ("2 * 3", "?"),
        ("var.on ? var.off ? 1 : 2 : 3", 2),
        ("var.x ? 1 : 1", "?"),
        ("var.stage ? 1 : 2", "?"),
        ('var.keys["a"].on', False),
        ("var.keys.b", "?"),
        ("var.list[1]", True),
        ("var.list[2]", "?"),
        ("var.list[*]", "?"),
        ("[for x in var.list : x]", "?"),
        ("{ for k in var.list : k => k }", "?"),
        ('{ a = 1, "b" : 2\n (var.stage) = 3 }', {"a": 1, "b": 2, "dev": 3}),
        ("{ (var.x) = 3 }", "?"),
        ("length([var.x, 1,])", 2),
        ("length(var.nothing)", "?"),
        ('length("")', 0),
        ('compact(["", null, "a"])', ["a"]),
        ("compact([var.x])", "?"),
        ("compact(1)", "?"),
        ("alltrue([var.x, false])", False),
        ("alltrue([])", True),
        ("anytrue([])", False),
        ('contains(["a", var.x], "a")', True),
        ('contains(["b", var.x], "a")', "?"),
        ('coalesce(var.nothing, "", 1)', 1),
        ('concat(["a"], toset(["b"]))', ["a", "b"]),
        ('lookup(var.keys, "z", 1)', 1),
        ('lookup(var.keys, "z")', "?"),
        ("merge({ a = 1 }, null, { a = 2 })", {"a": 2}),
        ("keys({ b = 1, a = 2 })", ["a", "b"]),
        ("values({ b = 1, a = 2 })", [2, 1]),
        ('tobool("false")', False),
        ('toset(["a", "a"])', frozenset({"a"})),
        ("toset([1])", "?"),
        ("toset([var.x])", "?"),
        ('tolist(toset(["b", "a"]))', ["a", "b"]),
        ("try(var.on, 1)", "?"),
        ("coalesce(var.list...)", "?"),
        ("var.on 1", "?"),
        ("var", "?"),
        ("", "?"),
    ],
)
def test_an_expression_has_the_value_that_the_code_settles(text: str, expected: object) -> None:
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


PIECES = """
    var.on var.x && || ! ( ) [ ] { } " ${ a = ? : , <<EOT EOT /* */ # \\ 1 toset for - .
"""


@given(st.lists(st.sampled_from([*PIECES.split(), "\n"]) | st.text(max_size=3)).map(" ".join))
@example("(" * 10_000)
@example("a = " + "!" * 10_000 + "true")
@example("a {" * 10_000 + "}" * 10_000)
@example("a = " + '"${' * 2_000 + '}"' * 2_000)
def test_any_text_is_read_or_refused(text: str) -> None:
    hcl, expressions = helper("terraform_hcl"), helper("terraform_expressions")
    expressions.evaluate_json(f"${{{text}}}")
    try:
        body = hcl.read_blocks(text)
    except hcl.HclError:
        return
    for tokens in body.arguments.values():
        expressions.evaluate(tokens, lambda *_: expressions.UNSETTLED)


def test_a_block_in_one_line_and_its_neighbours_are_read() -> None:
    body = helper("terraform_hcl").read_blocks(
        'a "b" { c = { d = 1 } }\n# e { f = 1 }\nlocals {\n  g = [\n    1,\n  ]\n  h = "}"\n}\n'
    )
    assert [path for path, _ in body.blocks] == [("a", "b"), ("locals",)]
    assert body.blocks[1][1].arguments.keys() == {"g", "h"}


def scan(folder: Path) -> dict[str, tuple[str, str]]:
    """Each record's outcome and file, by address. One of an address at most."""
    report = Runner().run(
        root_folder=str(folder),
        external_checks_dir=[str(CHECKS)],
        runner_filter=RunnerFilter(checks=[STATE]),
    )
    records = [*report.passed_checks, *report.failed_checks]
    assert len({record.resource for record in records}) == len(records)
    return {r.resource: (r.check_result["result"].value, r.file_path) for r in records}


def test_a_module_of_four_kinds_has_the_record_of_the_one_that_it_makes() -> None:
    kinds = {
        verdict.case: verdict.outcome
        for verdict in verdicts("terraform")
        if verdict.case.endswith(("_kind", "_made")) and verdict.check_id == STATE
    }
    assert kinds == {"fail_the_kind_that_is_made": "FAILED"}


def test_the_record_of_an_overridden_block_is_in_the_file_of_the_block() -> None:
    records = scan(FIXTURES / "terraform" / "expressions" / "overrides")
    assert {Path(file).name for _, file in records.values()} == {"main.tf"}


def test_a_block_that_json_may_override_has_no_record(tmp_path: Path) -> None:
    blocks = "".join(
        f'resource "aws_kms_key" "{name}" {{\n  is_enabled = false\n}}\n' for name in ("a", "b")
    )
    (tmp_path / "main.tf").write_text(blocks)
    (tmp_path / "aws_override.tf.json").write_text('{"resource": {"aws_kms_key": {"a": {}}}}')
    assert scan(tmp_path).keys() == {"aws_kms_key.b"}


def test_collections_that_double_do_not_fill_the_memory() -> None:
    found: object = ["x"]
    expressions, hcl = helper("terraform_expressions"), helper("terraform_hcl")
    tokens = hcl.expression("concat(local.a, local.a)")
    for _ in range(60):
        found = expressions.evaluate(tokens, lambda *_, found=found: found)
    assert found is expressions.UNSETTLED
