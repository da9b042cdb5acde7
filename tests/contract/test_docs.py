"""What the documentation says exists: conditions, examples, make targets, links."""

import re
from pathlib import Path

import pytest
import yaml
from agenttype_api import v1alpha1
from agenttype_api.conditions import Condition
from support.callers.sdk_matrix import MATRIX, STATUSES

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/decisions/*.md"), *ROOT.glob("*/README.md")]
KINDS = {kind.__name__: kind for kind in v1alpha1.KINDS}
MANIFESTS = [
    (path.relative_to(ROOT).as_posix(), document)
    for path in [*PAGES, *ROOT.glob("examples/**/*.yaml")]
    for block in (
        [path.read_text()] if path.suffix == ".yaml" else re.findall(r"```yaml\n(.*?)```", path.read_text(), re.DOTALL)
    )
    for document in yaml.safe_load_all(block)
    if isinstance(document, dict) and document.get("kind") in KINDS
]
LINKS = [(page, target) for page in PAGES for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())]
TARGETS = {target for page in PAGES for target in re.findall(r"`make ([a-z0-9-]+)`", page.read_text())}


def test_every_condition_is_explained():
    table = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/agenttype.md").read_text(), re.MULTILINE)

    assert {name for name in table if name in set(Condition)} == set(Condition)


@pytest.mark.parametrize(("where", "manifest"), MANIFESTS, ids=[f"{where}-{m['kind']}" for where, m in MANIFESTS])
def test_every_example_is_a_valid_object(where, manifest):
    example = yaml.safe_dump(manifest, allow_unicode=True).replace("sha256:…", "sha256:" + "a" * 64)

    parsed = KINDS[manifest["kind"]].model_validate(yaml.safe_load(example))

    unknown = set(manifest["spec"]) - {field.alias or name for name, field in type(parsed.spec).model_fields.items()}
    assert not unknown, where


@pytest.mark.parametrize(("page", "target"), LINKS, ids=[f"{page.name}-{target}" for page, target in LINKS])
def test_every_link_leads_to_a_file(page, target):
    assert (page.parent / target).exists()


def test_every_make_target_that_is_named_exists():
    makefile = (ROOT / "Makefile").read_text()
    known = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))

    assert known >= TARGETS


def test_the_table_of_sdks_is_what_they_were_seen_to_do():
    page = (ROOT / "docs/protocols.md").read_text()
    shown = re.findall(r"^\| ([^|`]+) \| `(/v1/[^`]+)` \| (\d+) \| (\d+) \| (\d+) \|$", page, re.MULTILINE)

    assert shown == [(row.name, row.route, *map(str, row.requests)) for row in MATRIX]
    assert f"| {' | '.join(map(str, STATUSES))} |" in page
