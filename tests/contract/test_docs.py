"""What the documentation says exists: examples, make targets, links, SDKs."""

import re

import pytest
import yaml
from agenttype_api import v1alpha1
from support import pages
from support.callers.sdk_matrix import MATRIX, STATUSES

ROOT = pages.ROOT
KINDS = {kind.__name__: kind for kind in v1alpha1.KINDS}
MANIFESTS = [
    (path.relative_to(ROOT).as_posix(), document)
    for path in [*pages.PAGES, *sorted(ROOT.glob("examples/**/*.yaml"))]
    for block in (
        [path.read_text()] if path.suffix == ".yaml" else re.findall(r"```yaml\n(.*?)```", path.read_text(), re.DOTALL)
    )
    for document in yaml.safe_load_all(block)
    if isinstance(document, dict) and document.get("kind") in KINDS
]
LINKS = [
    (page, *target.partition("#")[::2])
    for page in pages.PAGES
    for target in re.findall(r"\]\(([^):]+)\)", pages.without_code(page.read_text()))
]
TARGETS = {target for page in pages.PAGES for target in re.findall(r"`make ([a-z0-9-]+)`", page.read_text())}


@pytest.mark.parametrize(("where", "manifest"), MANIFESTS, ids=[f"{where}-{m['kind']}" for where, m in MANIFESTS])
def test_every_example_is_a_valid_object(where, manifest):
    del where
    example = yaml.safe_dump(manifest, allow_unicode=True).replace("sha256:…", "sha256:" + "a" * 64)

    KINDS[manifest["kind"]].model_validate(yaml.safe_load(example))


@pytest.mark.parametrize(
    ("page", "target", "anchor"), LINKS, ids=[f"{pages.name(page)}-{'#'.join(target)}" for page, *target in LINKS]
)
def test_every_link_leads_to_a_file_and_a_heading(page, target, anchor):
    found = page.parent / target if target else page

    assert found.exists()
    assert not anchor or anchor in pages.anchors(found.read_text())


def test_every_page_is_in_the_index():
    index = (ROOT / "docs/README.md").read_text()
    listed = {(ROOT / "docs" / target).resolve() for target in re.findall(r"\]\(([^)#]+)", index)}

    assert listed >= {page for page in ROOT.glob("docs/**/*.md") if page.parent.name != "decisions"} - {
        ROOT / "docs/README.md"
    }


def test_every_make_target_that_is_named_exists():
    makefile = (ROOT / "Makefile").read_text()
    known = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE)) | set(
        re.search(r"^\.PHONY: (unit .*)$", makefile, re.MULTILINE).group(1).split()
    )

    assert known >= TARGETS


def test_the_table_of_sdks_is_what_they_were_seen_to_do():
    page = (ROOT / "docs/protocols.md").read_text()
    shown = re.findall(r"^\| ([^|`]+) \| `(/v1/[^`]+)` \| (\d+) \| (\d+) \| (\d+) \|$", page, re.MULTILINE)

    assert shown == [(row.name, row.route, *map(str, row.requests)) for row in MATRIX]
    assert f"| {' | '.join(map(str, STATUSES))} |" in page
