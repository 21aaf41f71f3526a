"""The image and the compose file keep what docs/deploy.md promises. Neither can be built or run here: they are read."""

import json
import re
import socket
import subprocess
import sys
import tomllib
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from scripts.generated import ROOT

from postrider.doors.cli.stopping import DRAIN_SECONDS
from postrider.engine import sent_copies

DEPLOY: Final = ROOT / "deploy"
DOCKERFILE: Final = (ROOT / "Dockerfile").read_text(encoding="utf-8")
INSTRUCTIONS: Final = [
    (name, " ".join(rest.split()))
    for name, rest in re.findall(
        r"^([A-Z]+) (.+)$", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.M).replace("\\\n", ""), re.M
    )
]
COMPOSE: Final[dict[str, Any]] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: Final = COMPOSE["services"]
PIN: Final = re.compile(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^\]]*\])?==(\S+)", re.MULTILINE)


def said(instruction: str) -> list[str]:
    return [rest for name, rest in INSTRUCTIONS if name == instruction]


def pins(name: str) -> dict[str, str]:
    """What a lock installs: each package with its version and hashes, as they stand there."""
    blocks = re.split(r"\n(?=\S)", re.sub(r"^ *#.*\n", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.M))
    found = {}
    for block in blocks:
        if pin := PIN.match(block):
            found[pin[1]] = pin[2] + " " + " ".join(sorted(re.findall(r"--hash=\S+", block)))
    return found


def test_the_image_installs_by_the_script_that_the_clean_install_runs() -> None:
    assert [rest for rest in said("RUN") if "useradd" not in rest] == [
        "sh /source/deploy/install.sh /source /opt/postrider"
    ]
    script = (ROOT / "scripts/clean_install.sh").read_text(encoding="utf-8")
    assert 'sh "$place/source/deploy/install.sh" "$place/source" "$place/installed"' in script


def test_every_file_that_the_image_copies_keeps_its_place() -> None:
    copies = [rest.split() for rest in said("COPY") if not rest.startswith("--from")]
    for *files, target in copies:
        for file in files:
            assert (ROOT / file).exists(), file
            place = f"{target}{Path(file).name}" if target.endswith("/") else target
            assert place == f"/source/{file}"


def test_the_context_of_the_image_is_what_it_copies() -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    copied = {file for rest in said("COPY") if not rest.startswith("--from") for file in rest.split()[:-1]}
    assert ignored[0] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == copied


def test_the_image_runs_as_nobody_in_particular_and_stops_when_asked() -> None:
    assert said("FROM")[-1].endswith("-slim-bookworm") and len(said("FROM")) == 2
    assert said("USER") == ["10001:10001"]
    assert said("VOLUME") == ['["/data"]'] and "POSTRIDER_DATA_DIR=/data" in said("ENV")[0]
    assert said("STOPSIGNAL") == ["SIGTERM"]
    assert json.loads(said("ENTRYPOINT")[0]) == ["postrider"], "a shell in between would swallow the signal"
    assert json.loads(said("CMD")[0])[0] == "serve"
    assert "/opt/postrider/healthcheck.py" in said("HEALTHCHECK")[0]


@pytest.mark.parametrize("lock", ["runtime.lock", "build.lock"])
def test_what_the_image_installs_is_what_the_tests_ran_with(lock: str) -> None:
    tested = pins("requirements.lock")
    wanted = pins(f"deploy/{lock}")
    assert wanted and {name: tested.get(name) for name in wanted} == wanted, "refresh with: make lock"


def test_the_image_installs_all_that_the_package_needs_and_nothing_for_its_development() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    runtime = set(pins("deploy/runtime.lock"))
    assert {_name(line) for line in project["dependencies"]} <= runtime
    assert not {"pytest", "ruff", "mypy", "playwright", "hypothesis"} & runtime
    assert set(pins("deploy/build.lock")) == {"setuptools"}


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None
    return re.sub(r"[._]", "-", found[0].lower())


def test_only_the_proxy_can_be_reached_from_outside() -> None:
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"proxy"}
    assert SERVICES["proxy"]["ports"] == ["80:80", "443:443", "443:443/udp"]
    assert COMPOSE["networks"]["inside"]["internal"] is True
    assert SERVICES["database"]["networks"] == ["inside"]
    assert not any("network_mode" in service or "privileged" in service for service in SERVICES.values())


def test_the_proxy_is_believed_at_the_address_that_it_has() -> None:
    address = SERVICES["proxy"]["networks"]["front"]["ipv4_address"]
    assert SERVICES["postrider"]["environment"]["POSTRIDER_TRUSTED_PROXIES"] == address
    assert SERVICES["postrider"]["networks"].keys() == {"inside", "front"}
    assert SERVICES["postrider"]["command"][-2:] == ["--host", "0.0.0.0"], "by IPv4 alone, where its address is known"
    subnets = [ip_network(each["subnet"]) for each in COMPOSE["networks"]["front"]["ipam"]["config"]]
    given_out = ip_network(COMPOSE["networks"]["front"]["ipam"]["config"][0]["ip_range"])
    assert ip_address(address) in subnets[0] and ip_address(address) not in given_out


def test_visitors_over_ipv6_keep_their_addresses() -> None:
    """Without addresses of its own the proxy sees all of them as one, and limits go by address."""
    front = COMPOSE["networks"]["front"]
    versions = {ip_network(each["subnet"]).version: ip_network(each["subnet"]) for each in front["ipam"]["config"]}
    assert front["enable_ipv6"] is True and versions.keys() == {4, 6}
    assert versions[6].is_private and versions[6].prefixlen == 64


def test_what_others_make_is_pinned_to_one_version() -> None:
    images = [service["image"] for service in SERVICES.values() if "build" not in service]
    images += [f"python:{said('ARG')[0].removeprefix('PYTHON=')}-slim-bookworm"]
    assert len(images) == 3
    for image in images:
        assert re.fullmatch(r"[a-z]+:\d+\.\d+(\.\d+)?(-[a-z-]+)?(@sha256:[0-9a-f]{64})?", image), image
    assert re.fullmatch(r"PYTHON=\d+\.\d+\.\d+", said("ARG")[0])


def test_the_schema_is_upgraded_before_the_server_starts() -> None:
    assert SERVICES["upgrade"]["command"] == ["db", "upgrade"] and SERVICES["upgrade"]["restart"] == "no"
    assert SERVICES["postrider"]["depends_on"]["upgrade"] == {"condition": "service_completed_successfully"}
    assert SERVICES["proxy"]["depends_on"]["postrider"] == {"condition": "service_healthy"}
    assert SERVICES["upgrade"]["environment"] == SERVICES["postrider"]["environment"]


def test_the_server_has_the_time_to_stop_that_it_needs() -> None:
    longest = DRAIN_SECONDS + sent_copies.DRAIN_SECONDS
    page = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")
    given = re.findall(r"(?:--stop-timeout |TimeoutStopSec=)(\d+)", page) + re.findall(r"--timeout (\d+)", DOCKERFILE)
    assert len(given) == 3
    for seconds in (SERVICES["postrider"]["stop_grace_period"].removesuffix("s"), *given):
        assert int(seconds) > longest


def test_everything_that_stays_says_whether_it_is_well_and_starts_again() -> None:
    for name in ("database", "postrider", "proxy"):
        assert SERVICES[name]["restart"] == "unless-stopped"
    assert "test" in SERVICES["database"]["healthcheck"] and "test" in SERVICES["proxy"]["healthcheck"]
    assert "healthcheck" not in SERVICES["postrider"], "the image's own holds"


def test_everything_that_is_kept_is_in_a_named_volume() -> None:
    kept = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert {volume for volume in kept if not volume.startswith("./")} == set(COMPOSE["volumes"])
    assert all((DEPLOY / volume).is_file() for volume in kept if volume.startswith("./"))


def test_no_secret_is_written_down_and_a_missing_one_is_named() -> None:
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if any(word in name for word in ("PASSWORD", "SECRET", "KEY", "URL")):
                assert "${" in value, name
    for secret in ("POSTGRES_PASSWORD", "POSTRIDER_SECRET_KEY", "POSTRIDER_HOST"):
        assert f"${{{secret}:?" in (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    assert "deploy/.env" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_the_example_names_every_variable_that_is_asked_for() -> None:
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    example = dict(re.findall(r"^([A-Z_]+)=(.*)$", (DEPLOY / "env.example").read_text(encoding="utf-8"), re.M))
    assert set(re.findall(r"\$\{([A-Z_]+):\?", text)) <= set(example)
    assert not example["POSTGRES_PASSWORD"] and not example["POSTRIDER_SECRET_KEY"], "nobody's secret is the example's"


def test_the_proxy_passes_on_to_the_server_and_keeps_the_figures_inside() -> None:
    text = (DEPLOY / "Caddyfile").read_text(encoding="utf-8")
    assert re.search(r"reverse_proxy postrider:8025 \{\s+flush_interval -1", text)
    assert re.search(r"@inside path /metrics .*\n\s+respond @inside 404", text)
    assert set(re.findall(r"\{\$([A-Z_]+)\}", text)) == set(SERVICES["proxy"]["environment"])


def test_a_server_that_does_not_answer_is_not_well() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        check = [sys.executable, str(DEPLOY / "healthcheck.py"), str(taken.getsockname()[1])]
        ended = subprocess.run(check, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1 and "no answer" in ended.stderr
