"""The alerting rules in docs/alerts.yml ask for what is served, and docs/operations.md explains each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from realtime.counts import DeliveryCounts
from realtime.metrics import Metrics

DOCS = Path(__file__).parents[1] / "docs"
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((DOCS / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
SELECTOR = re.compile(r"\b((?:runcast|process)_\w+)(?:{([^}]*)})?")
MATCHER = re.compile(r'(\w+)(=~?)"([^"]*)"')
BY_PROMETHEUS = {"job", "instance"}
"""Labels that a series gets where it is scraped."""

rules = pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))


def served() -> dict[str, list[dict[str, str]]]:
    """The labels of every sample, by its name; of a series without samples yet there is the name."""
    found: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(Metrics(DeliveryCounts()).render().decode()):
        found[f"{family.name}_total" if family.type == "counter" else family.name] = []
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.labels)
    return found


@rules
def test_rule_asks_for_series_and_labels_that_there_are(rule: dict[str, Any]) -> None:
    """A rule about a series that nobody serves would be silent for ever, and so would one about a misspelt label."""
    series = served()
    for name, matchers in SELECTOR.findall(rule["expr"]):
        assert name in series
        for label, operator, value in MATCHER.findall(matchers):
            if label in BY_PROMETHEUS or not series[name]:
                continue
            wanted = set(value.split("|") if operator == "=~" else [value])
            assert wanted <= {labels[label] for labels in series[name]}, f"{name}{{{label}}}"


@rules
def test_rule_says_how_urgent_it_is_and_what_it_means(rule: dict[str, Any]) -> None:
    """Whoever is woken reads one sentence."""
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"].endswith(".")


def test_documented_alerts_are_those_there_are() -> None:
    """The table of alerts is complete, in the order of the rules, and has none that is not there."""
    text = (DOCS / "operations.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(Runcast\w+)` \|", text, re.MULTILINE) == [rule["alert"] for rule in RULES]
