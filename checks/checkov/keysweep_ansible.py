"""Ansible tasks that use the KMS key module, under any of its four names.

Checkov's own base class visits tasks and blocks. This one also visits pre_tasks, post_tasks,
handlers, and the rescue and always sections of blocks. Settings of a play or block that reach its
tasks are read from the file again, because Checkov hands over single tasks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from keysweep_verdicts import CATEGORIES, SEVERITY, STATE, WINDOW, Check

from checkov.ansible.checks.registry import registry
from checkov.common.checks.base_check import BaseCheck
from checkov.common.models.enums import CheckResult
from checkov.common.parsers.yaml.parser import parse
from checkov.common.typing import _CheckResult, _SkippedCheck
from checkov.yaml_doc.enums import BlockType

MODULES = ("amazon.aws.kms_key", "community.aws.aws_kms", "kms_key", "aws_kms")

PLAY_SECTIONS = ("tasks", "pre_tasks", "post_tasks", "handlers")
BLOCK_SECTIONS = ("block", "rescue", "always")

# Groups of `module_defaults` that these modules belong to ("Module defaults", Ansible).
GROUPS = ("group/aws", "group/amazon.aws.aws", "group/community.aws.aws")

# Blocks in blocks, as deep as Checkov's own checks look.
DEPTH = 3

# Strings that Ansible accepts as a boolean.
WORDS = {
    **dict.fromkeys(("y", "yes", "on", "1", "true", "t", "1.0"), True),
    **dict.fromkeys(("n", "no", "off", "0", "false", "f", "0.0"), False),
}


def _entities() -> Iterator[str]:
    """Yield JMESPath expressions of all tasks, in playbooks and in files of tasks."""
    used = "||".join(f'"{module}"' for module in MODULES)
    for start in ("[]", f"[].[{', '.join(PLAY_SECTIONS)}][][]"):
        for depth in range(DEPTH + 1):
            nested = f".[{', '.join(BLOCK_SECTIONS)}][][]" * depth
            yield f"{start}{nested} | [?{used}]"


class AnsibleCheck(BaseCheck):
    """Evaluate one parameter of a KMS key task, by the first of its names that is set."""

    def __init__(self, check: Check, *parameters: str) -> None:
        super().__init__(
            name=check.name,
            id=check.id,
            categories=CATEGORIES,
            supported_entities=list(_entities()),
            block_type=BlockType.ARRAY,
            guideline=check.guideline,
        )
        self.severity = SEVERITY
        self._check = check
        self._parameters = parameters
        self._file = ""
        registry.register(self)

    def run(
        self,
        scanned_file: str,
        entity_configuration: dict[str, Any],
        entity_name: str,
        entity_type: str,
        skip_info: _SkippedCheck,
    ) -> _CheckResult:
        """Run the check, and keep the file's name for what stands around the task."""
        self._file = scanned_file
        return super().run(scanned_file, entity_configuration, entity_name, entity_type, skip_info)

    def scan_entity_conf(self, conf: Any, entity_type: str) -> tuple[CheckResult, dict[str, Any]]:
        """Evaluate the parameter in the module's own arguments or in the task's `args`."""
        self.entity_type = entity_type
        if not isinstance(conf, dict):
            return CheckResult.UNKNOWN, {}
        name = next((name for name in MODULES if conf.get(name) is not None), "")
        module = conf.get(name)
        around = [conf, *_around(self._file, conf)]
        if not isinstance(module, dict) or _never_runs(around):
            # Not a mapping: the key=value form, `alias=a enabled=no`.
            return CheckResult.UNKNOWN, conf
        more = conf.get("args")
        parameters = {**more, **module} if isinstance(more, dict) else module
        return self._evaluate(parameters, around), module

    def _evaluate(
        self, parameters: Mapping[str, object], around: list[dict[str, Any]]
    ) -> CheckResult:
        name = next((p for p in self._parameters if p in parameters), self._parameters[0])
        self.evaluated_keys = [name]
        for relevant in (self._parameters, ("state",)):
            if not any(p in parameters for p in relevant) and _has_default(around, relevant):
                return CheckResult.UNKNOWN
        declared = parameters.get(name)
        if self._check is STATE:
            if parameters.get("state") not in (None, "present"):
                return CheckResult.UNKNOWN
            declared = _boolean(declared)
        return self._check.evaluate(declared)


@lru_cache(maxsize=1)
def _document(file: str) -> object:
    try:
        parsed = parse(file)
    except (OSError, ValueError):
        return None
    return parsed[0] if parsed else None


def _around(file: str, task: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the blocks and the play around a task, innermost first."""
    found: list[dict[str, Any]] = []
    items = _document(file)
    while isinstance(items, list):
        outer = next((item for item in items if _covers(item, task)), None)
        if outer is None:
            break
        found.insert(0, outer)
        sections = [outer.get(name) for name in (*PLAY_SECTIONS, *BLOCK_SECTIONS)]
        items = [item for section in sections if isinstance(section, list) for item in section]
    return found


def _covers(item: object, task: Mapping[str, Any]) -> bool:
    """Return whether an item is around the task, and not the task itself."""
    if not isinstance(item, dict) or any(name in item for name in MODULES):
        return False
    lines = [one.get(f"__{end}line__") for one in (item, task) for end in ("start", "end")]
    first, last, task_first, task_last = (n if isinstance(n, int) else 0 for n in lines)
    return 0 < first <= task_first and task_last <= last


def _never_runs(around: list[dict[str, Any]]) -> bool:
    """Return whether a literal keeps the task from running, or from changing anything."""
    for one in around:
        when = one.get("when")
        if any(condition in (False, "false", "False") for condition in _listed(when)):
            return True
    check_mode = next((one["check_mode"] for one in around if one.get("check_mode") is not None), 0)
    return _boolean(check_mode) is True


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _has_default(around: list[dict[str, Any]], names: tuple[str, ...]) -> bool:
    """Return whether `module_defaults` may set one of the parameters."""
    for one in around:
        defaults = one.get("module_defaults")
        for entry in _listed(defaults):
            if entry is None:
                continue
            if not isinstance(entry, dict):
                return True  # a template
            for module in (*MODULES, *GROUPS):
                given = entry.get(module)
                if given is not None and (
                    not isinstance(given, dict) or any(name in given for name in names)
                ):
                    return True
    return False


def _boolean(declared: object) -> object:
    if isinstance(declared, str):
        return WORDS.get(declared.strip().lower(), declared)
    if isinstance(declared, int | float) and declared in {0, 1}:
        return bool(declared)
    return declared


AnsibleCheck(STATE, "enabled")
AnsibleCheck(WINDOW, "pending_window", "deletion_delay")
