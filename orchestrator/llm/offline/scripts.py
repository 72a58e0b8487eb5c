"""Scenarios -> the automation consultant's Playwright tests in TypeScript."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from orchestrator.llm.offline.findings import Example, Findings, Source, Step
from orchestrator.llm.offline.scenarios import Scenario
from orchestrator.llm.offline.sections import LOOKED_FOR, Section, grouped, read_notes
from orchestrator.llm.offline.signals import Endpoint, endpoints, status_codes
from orchestrator.llm.offline.typescript import Bound, bound, needs_body, string
from orchestrator.llm.offline.wording import clip, counted, one_line

TEST_LIMIT = 400
_VALUE = """\
// A path parameter takes its value from the environment; without one, the test is skipped and says so.
function value(name: string): string {
  const variable = `TEST_${name.toUpperCase().replace(/\\W/g, "_")}`;
  const found = process.env[variable];
  test.skip(found === undefined, `set ${variable} to run this test`);
  return encodeURIComponent(found ?? "");
}
"""


class _Test(msgspec.Struct, frozen=True):
    scenario: Scenario
    lines: tuple[str, ...]
    unbound: int
    partly: bool
    fixtures: tuple[str, ...]

    @property
    def runs(self) -> bool:
        return self.unbound == 0


def scripts(
    findings: Findings, scenarios: Sequence[Scenario], basis: str, notes: Sequence[str] = ()
) -> list[Section]:
    """The artifact in sections: a test for each scenario, up to `TEST_LIMIT`, in the order given.

    A test whose every step could be turned into code runs; any other is ``test.fixme`` and says which steps are to be
    bound by hand. ``basis`` says in words where the scenarios are from, ``notes`` what is not among them.
    """
    if not scenarios:
        return [_nothing_found(findings, basis)]
    kept = scenarios[:TEST_LIMIT]
    examples = {
        example.endpoint: example for document in reversed(findings.documents) for example in document.examples
    }
    tests = [_test(scenario, examples) for scenario in kept]
    groups = grouped((test.scenario.feature, test) for test in tests)
    sections = [_head(findings, tests, len(groups), [basis, *notes], scenarios[TEST_LIMIT:])]
    sections += [_describe(group) for group in groups]
    return sections


def _nothing_found(findings: Findings, basis: str) -> Section:
    looked = [f"looked for: {pattern}" for pattern in LOOKED_FOR]
    lines = ["Playwright tests: nothing to automate was found", basis, *looked, *_notes(findings)]
    return Section("Saying that nothing was found", _comments(lines) + "\nexport {};\n")


def _head(
    findings: Findings, tests: Sequence[_Test], features: int, basis: Sequence[str], left_out: Sequence[Scenario]
) -> Section:
    running = sum(test.runs for test in tests)
    partly = sum(test.runs and test.partly for test in tests)
    lines = [
        f"Playwright tests: {counted(len(tests), 'test')} for {counted(features, 'feature')}",
        *basis,
        f"{counted(running, 'test')} can run as written, {partly} of them checking a part of their words; "
        f"{len(tests) - running} marked test.fixme until the steps so commented are bound by hand",
        *_notes(findings),
    ]
    if left_out:
        first = f" ({left_out[0].source})" if left_out[0].source else ""
        lines.append(f"{counted(len(left_out), 'scenario')} left out, from “{left_out[0].name}”{first} on")
    text = _comments(lines) + '\nimport { expect, test } from "@playwright/test";\n\n'
    if any("value(" in line for test in tests for line in test.lines):
        text += _VALUE + "\n"
    return Section("Writing the head", text)


def _describe(tests: Sequence[_Test]) -> Section:
    feature = tests[0].scenario.feature
    where = f"// {feature.source}\n" if feature.source.line else ""
    body = "\n".join(_written(test) for test in tests)
    text = f"{where}test.describe({string(clip(feature.name, 110))}, () => {{\n{body}}});\n\n"
    return Section(f"Writing {clip(feature.name, 60)}: {counted(len(tests), 'test')}", text)


def _written(test: _Test) -> str:
    scenario = test.scenario
    quote = f" — {clip(one_line(scenario.quote))}" if scenario.quote else ""
    where = f"  // {scenario.source}{quote}\n" if scenario.source else "  // the scenario names no source line\n"
    call = "test" if test.runs else "test.fixme"
    fixtures = f"{{ {', '.join(test.fixtures)} }}" if test.fixtures else ""
    body = "".join(f"    {line}\n" for line in test.lines)
    return f"{where}  {call}({string(scenario.name)}, async ({fixtures}) => {{\n{body}  }});\n"


def _test(scenario: Scenario, examples: Mapping[Endpoint, Example]) -> _Test:
    role, sent, unbound, asserts, partly = "Given", None, 0, 0, False
    lines: list[str] = []
    fixtures: dict[str, None] = {}
    for step in scenario.steps:
        role = step.keyword if step.keyword in {"Given", "When", "Then"} else role
        code = (
            bound(role, step.text, examples, sent)
            if sent is None or role == "Then"
            else _second(role, step, examples)
        )
        if code is not None and code.response:
            sent = endpoints(step.text)[0]
            lacking = _lacking(scenario, sent, examples)
            lines += [f"// {_place(step.source)}: {lacking}"] if lacking else []
            unbound += bool(lacking)
        lines += _step_lines(step, code)
        partly |= code is not None and code.partly
        unbound += code is None
        asserts += code is not None and code.asserts
        if code is not None:
            fixtures[code.fixture] = None
    if not asserts and not unbound:
        lines.append("// nothing in these steps can be expected by rule")
        unbound += 1
    if not any("response." in line for line in lines):
        lines = [line.removeprefix("const response = ") for line in lines]
    return _Test(scenario, tuple(lines), unbound, partly, tuple(sorted(fixtures)))


def _second(role: str, step: Step, examples: Mapping[Endpoint, Example]) -> Bound | None:
    """A further request in one test is left to people: which response is meant later cannot be told by rule."""
    code = bound(role, step.text, examples, None)
    return None if code is not None and code.response else code


def _lacking(scenario: Scenario, sent: Endpoint, examples: Mapping[Endpoint, Example]) -> str | None:
    """What the words do not say that a request needs in order to be answered as expected."""
    errors = [code for step in scenario.steps for code in status_codes(step.text) if code >= 400]
    if errors:
        conditions = any(step.keyword == "Given" for step in scenario.steps)
        return None if conditions else f"how to provoke {errors[0]} is not in these words"
    return f"no example of a body for {sent} in the documents" if needs_body(sent, examples) else None


def _step_lines(step: Step, code: Bound | None) -> list[str]:
    title = string(f"{step.keyword} {step.text}")
    where = f"// {_place(step.source)}"
    if code is None:
        return [f"await test.step({title}, async () => {{ {where}", "  // to be bound by hand", "});"]
    if code.response:
        given = f", body from {code.source}" if code.source else ""
        return [f"const response = await test.step({title}, async () => {where}{given}", f"  {code.code},", ");"]
    remark = " // checks a part of these words" if code.partly else ""
    return [f"await test.step({title}, async () => {{ {where}", f"  {code.code}{remark}", "});"]


def _place(source: Source) -> str:
    return str(source) if source.line else "no source line"


def _notes(findings: Findings) -> list[str]:
    return [f"{where}: {said}" for where, said in read_notes(findings)]


def _comments(lines: Sequence[str]) -> str:
    return "".join(f"// {one_line(line)}\n" for line in lines)
