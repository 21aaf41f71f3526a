"""Manifests fit their schemas and each other; what a mistake in one of them would be called is tried on a copy."""

import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from scripts import check_manifests
from scripts.bundle import bundled_files, write_bundle
from scripts.check_files import repository_files
from scripts.generated import ROOT
from scripts.snapshots import catalogue_text

from postrider.catalogue import load_catalogue
from postrider.tags.rules import SEED_TAGS

SERVER: Final = "manifests/server.json"
BUNDLE: Final = "manifests/mcpb/manifest.json"
PLUGIN: Final = "manifests/claude-plugin/.claude-plugin/plugin.json"
MARKETPLACE: Final = "manifests/claude-plugin/.claude-plugin/marketplace.json"
CONNECTION: Final = "manifests/claude-plugin/.mcp.json"
LAUNCH: Final = "manifests/claude-plugin/skills/launch-campaign"
INBOX: Final = "manifests/claude-plugin/skills/work-the-inbox"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The repository's manifests and what they are compared with, to be spoilt."""
    shutil.copytree(ROOT / "manifests", tmp_path / "manifests")
    for name in ("pyproject.toml", "README.md", "Dockerfile", "deploy/compose.yaml", "src/postrider/__main__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def problems(root: Path) -> list[str]:
    return [problem for check in check_manifests.CHECKS for problem in check(root)]


def edit(root: Path, name: str, change: Callable[[Any], object]) -> None:
    document = json.loads((root / name).read_text(encoding="utf-8"))
    change(document)
    (root / name).write_text(json.dumps(document), encoding="utf-8")


def test_every_manifest_is_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_manifests.main([str(ROOT)]) == 0, capsys.readouterr().out


MISTAKES: Final[dict[str, tuple[str, Callable[[Any], object], str]]] = {
    "a description too long for the registry": (SERVER, lambda d: d.update(description="x" * 101), "$.description"),
    "a name without a namespace": (SERVER, lambda d: d.update(name="postrider"), "$.name"),
    "a package without a transport": (SERVER, lambda d: d["packages"][0].pop("transport"), "$.packages[0]"),
    "a package that follows the latest": (SERVER, lambda d: d["packages"][0].update(version="latest"), "latest"),
    "a remote that is no address": (SERVER, lambda d: d["remotes"][0].update(url="{host}/mcp"), "$.remotes[0]"),
    "an image of another version": (SERVER, lambda d: d["packages"][1].update(identifier="x/y:9.9.9"), "oci is 9.9.9"),
    "a bundle of another version": (BUNDLE, lambda d: d.update(version="9.9.9"), "manifest.json: version is 9.9.9"),
    "a bundle of an unknown kind": (BUNDLE, lambda d: d["server"].update(type="perl"), "$.server.type"),
    "a bundle that starts nothing": (BUNDLE, lambda d: d["server"].update(entry_point="x.py"), "there is no x.py"),
    "a plugin with a misspelt field": (PLUGIN, lambda d: d.update(licence="x"), "licence"),
    "a plugin of another version": (PLUGIN, lambda d: d.update(version="9.9.9"), "plugin.json: version is 9.9.9"),
    "a setting that asks nothing": (PLUGIN, lambda d: d["userConfig"]["url"].pop("title"), "$.userConfig.url"),
    "a marketplace without an owner": (MARKETPLACE, lambda d: d.pop("owner"), "owner"),
    "a plugin from outside its folder": (MARKETPLACE, lambda d: d["plugins"][0].update(source="../x"), "source"),
    "a connection of an unknown kind": (CONNECTION, lambda d: d["mcpServers"]["postrider"].update(type="ws"), "$.mcp"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_manifest_is_named(copy: Path, mistake: str) -> None:
    name, change, named = MISTAKES[mistake]
    before = problems(copy)
    edit(copy, name, change)
    found = [problem for problem in problems(copy) if problem not in before]
    assert any(named in problem for problem in found), found


SLIPS: Final = {
    f"{LAUNCH}/SKILL.md: plan_the_campaign is no tool": ("`plan_campaign`", "`plan_the_campaign`"),
    f"{LAUNCH}/SKILL.md: lackingVariables is no field of the tools that are named": (
        "`missingVariables`",
        "`lackingVariables`",
    ),
    f"{LAUNCH}/SKILL.md: send_test_email does not take toEmail": ("with `customEmail`", "with `toEmail`"),
    f"{INBOX}/SKILL.md: list_conversations does not take unread: maybe": ("`unread: true`", "`unread: maybe`"),
    f"{INBOX}/SKILL.md: send_reply does not take sendAt": ("(with `scheduledFor`", "(with `sendAt`"),
    f"{INBOX}/references/labels.md: tag_conversation does not take conversations": (
        "takes `conversationIds`",
        "takes `conversations`",
    ),
}


@pytest.mark.parametrize("named", SLIPS)
def test_a_skill_that_names_what_does_not_exist_is_found(copy: Path, named: str) -> None:
    page, (right, wrong) = copy / named.split(":")[0], SLIPS[named]
    text = page.read_text(encoding="utf-8")
    assert right in text
    page.write_text(text.replace(right, wrong), encoding="utf-8")
    assert named in problems(copy)


def test_a_skill_has_to_be_called_as_its_folder(copy: Path) -> None:
    (copy / LAUNCH).rename(copy / LAUNCH.replace("launch-campaign", "start-campaign"))
    assert any("start-campaign/SKILL.md: the name is the folder's" in problem for problem in problems(copy))


def test_the_readme_and_the_image_have_to_name_the_server(copy: Path) -> None:
    edit(copy, SERVER, lambda server: server.update(name="io.github.somebody/else"))
    found = problems(copy)
    assert "Dockerfile: does not say once that it belongs to io.github.somebody/else" in found
    assert "README.md: does not say once that it belongs to io.github.somebody/else" in found


@pytest.mark.parametrize(
    ("skill", "order"),
    [
        (LAUNCH, ["create_campaign", "add_leads_to_campaign", "preview_email", "plan_campaign", "start_campaign"]),
        (INBOX, ["list_conversations", "get_conversation", "tag_conversation", "generate_reply", "send_reply"]),
    ],
)
def test_a_skill_teaches_the_safe_order(skill: str, order: list[str]) -> None:
    text = (ROOT / skill / "SKILL.md").read_text(encoding="utf-8")
    steps = text.split("## The order")[1].split("## Confirmation")[0]
    first = [steps.index(f"`{tool}`") for tool in order]
    assert first == sorted(first)


@pytest.mark.parametrize("skill", [LAUNCH, INBOX])
def test_a_skill_says_how_a_yes_is_given_and_what_text_by_strangers_is(skill: str) -> None:
    text = (ROOT / skill / "SKILL.md").read_text(encoding="utf-8")
    for needed in ("## What never to do", "instruction", "untrusted", "CONFIRMATION_NEEDED", "confirmToken", "exactly"):
        assert needed in text


@pytest.mark.parametrize("skill", [LAUNCH, INBOX])
def test_the_codes_that_a_skill_explains_are_codes_of_ours(skill: str) -> None:
    text = (ROOT / skill / "SKILL.md").read_text(encoding="utf-8")
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    codes = set(re.findall(r"`([A-Z]+_[A-Z_]+)`", text))
    assert len(codes) == 5 and {code for code in codes if f'"{code}"' not in sources} == set()


def test_the_sequence_that_a_skill_shows_is_one_that_create_campaign_takes() -> None:
    text = (ROOT / LAUNCH / "references/writing.md").read_text(encoding="utf-8")
    shown = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    create = load_catalogue().find("create_campaign")
    assert create is not None and [create.input.model_validate_json(text) for text in shown]


def test_the_labels_of_a_skill_are_those_of_a_new_workspace() -> None:
    text = (ROOT / INBOX / "references/labels.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == {tag.name for tag in SEED_TAGS}


def test_the_catalogue_in_short_has_every_operation_once() -> None:
    listed = json.loads(catalogue_text(load_catalogue()))
    assert [tool["name"] for tool in listed] == [operation.name for operation in load_catalogue()]
    start = next(tool for tool in listed if tool["name"] == "start_campaign")
    assert (start["effect"], start["scope"], start["toolset"]) == ("write", "send", "campaigns")
    assert all(isinstance(hint, bool) for tool in listed for hint in tool["annotations"].values())


def test_the_bundle_is_the_manifest_and_the_sources_and_the_same_each_time(tmp_path: Path) -> None:
    one, other = (write_bundle(ROOT, tmp_path / name) for name in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()
    with zipfile.ZipFile(one) as bundle:
        names = bundle.namelist()
        manifest = json.loads(bundle.read("manifest.json"))
    assert names == [name for name, _ in bundled_files(ROOT)] and names[0] == "manifest.json"
    assert manifest["server"]["entry_point"] in names and "pyproject.toml" in names
    assert {name for name in repository_files(ROOT) if name.startswith("src/")} <= set(names)


def test_the_bundle_starts_what_the_command_line_knows() -> None:
    config = json.loads((ROOT / BUNDLE).read_text(encoding="utf-8"))["server"]["mcp_config"]
    assert config["args"][-4:] == ["python", "-m", "postrider", "stdio"]
    packages = json.loads((ROOT / SERVER).read_text(encoding="utf-8"))["packages"]
    assert [package["packageArguments"] for package in packages] == [[{"type": "positional", "value": "stdio"}]] * 2


def test_what_the_manifests_set_are_settings() -> None:
    known = {setting["variable"] for setting in json.loads((ROOT / "snapshots/settings.json").read_text())}
    server, bundle = (json.loads((ROOT / name).read_text(encoding="utf-8")) for name in (SERVER, BUNDLE))
    named = {variable["name"] for variable in server["packages"][0]["environmentVariables"]}
    assert named | set(bundle["server"]["mcp_config"]["env"]) <= known


def test_a_front_matter_that_a_client_cannot_read_is_named(copy: Path) -> None:
    page = copy / INBOX / "SKILL.md"
    page.write_text(page.read_text(encoding="utf-8").replace("---\nname", "name", 1), encoding="utf-8")
    assert any("work-the-inbox/SKILL.md: has to begin" in problem for problem in problems(copy))
