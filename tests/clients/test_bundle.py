"""The validator that comes with the bundle format, on the manifest and on the bundle itself."""

import json
import zipfile
from pathlib import Path
from typing import Final

from scripts.bundle import MANIFEST, write_bundle
from scripts.generated import ROOT

from tests.clients.nodejs import FOLDER, Node

MCPB: Final = FOLDER / "node_modules/@anthropic-ai/mcpb/dist/cli/cli.js"


async def test_the_manifest_is_valid_to_the_format_s_own_validator(node: Node) -> None:
    ended = await node.run(MCPB, "validate", str(ROOT / MANIFEST))
    assert ended.status == 0 and "validation passes" in ended.stdout, ended


async def test_the_validator_refuses_what_the_schema_refuses(node: Node, tmp_path: Path) -> None:
    manifest = json.loads((ROOT / MANIFEST).read_text(encoding="utf-8"))
    manifest["server"]["type"] = "perl"
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    ended = await node.run(MCPB, "validate", str(tmp_path / "manifest.json"))
    assert ended.status != 0, ended


async def test_the_bundle_is_one_that_the_format_s_own_tool_unpacks(node: Node, tmp_path: Path) -> None:
    bundle = write_bundle(ROOT, tmp_path)
    unpacked = tmp_path / "unpacked"
    ended = await node.run(MCPB, "unpack", str(bundle), str(unpacked))
    assert ended.status == 0, ended
    entry = json.loads((unpacked / "manifest.json").read_text(encoding="utf-8"))["server"]["entry_point"]
    assert (unpacked / entry).is_file()
    with zipfile.ZipFile(bundle) as packed:
        assert sum(path.is_file() for path in unpacked.rglob("*")) == len(packed.namelist())
