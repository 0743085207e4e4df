"""``install.sh`` on a system that has nothing but Python: the service's user, its files, its unit, and a gateway that relays."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.bare_system import BareSystem
from tests.deploy.test_service import FOLDER
from tests.gateway.fake_board import FakeBoard
from tests.gateway.processes import running_cloud, wait_until, write_config
from tests.gateway.test_no_loss import audit_of
from tests.host.peer import tcp_peer
from tests.support.patience import HANG_S

pytestmark = [pytest.mark.full, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[2]
CONFIG = "etc/tinyfleet/gateway.toml"
DATA = "var/lib/tinyfleet"
UNIT = "etc/systemd/system/tinyfleet-gateway.service"
PROGRAM = "/opt/tinyfleet/bin/tinyfleet"


@dataclass(frozen=True)
class Site:
    """A system with the service's files in ``/service``, and what installs them."""

    system: BareSystem
    install: tuple[str, ...]

    def run_script(self, *words: str, user: str = "root") -> subprocess.CompletedProcess[str]:
        """Run ``install.sh`` with the package, and further words."""
        pip = {"TINYFLEET_PIP": "--constraint /service/constraints.txt --no-cache-dir"}
        return self.system.run(*self.install, *words, user=user, env=pip)

    def ids(self) -> tuple[int, int]:
        """User and group of the service, as the system has them."""
        (line,) = [text for text in self.read("etc/passwd").splitlines() if text.startswith("tinyfleet:")]
        _, _, uid, gid, _, home, shell = line.split(":")
        assert (home, shell) == (f"/{DATA}", "/usr/sbin/nologin")
        return int(uid), int(gid)

    def read(self, path: str) -> str:
        """A file of the system."""
        return (self.system.root / path).read_text(encoding="utf-8")

    def owner_and_mode(self, path: str) -> tuple[int, int, str]:
        """User, group and mode of a file of the system."""
        status = (self.system.root / path).stat()
        return status.st_uid, status.st_gid, oct(stat.S_IMODE(status.st_mode))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The script has run once, with the sample configuration."""
    folder = tmp_path_factory.mktemp("bare")
    try:
        yield installed(BareSystem(folder, ["python3", "python3-venv", "systemd"]))
    finally:
        shutil.rmtree(folder)  # pytest would keep its 600 MB


def installed(system: BareSystem) -> Site:
    service = system.root / "service"
    shutil.copytree(FOLDER, service)
    shutil.copy(ROOT / "constraints.txt", service)
    wheel = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(service), str(ROOT)]
    subprocess.run(wheel, timeout=600, check=True)
    (built,) = service.glob("*.whl")
    site = Site(system, ("sh", "/service/install.sh", f"/service/{built.name}[gateway]"))
    done = site.run_script(user="daemon")
    assert done.returncode == 1 and "it needs root" in done.stderr and "hint: sudo" in done.stderr
    assert "tinyfleet" not in site.read("etc/passwd")
    done = site.run_script()
    assert done.returncode == 0, done.stdout + done.stderr
    return site


def test_service_has_a_user_of_its_own_who_can_read_the_configuration_and_nobody_else(site: Site) -> None:
    uid, gid = site.ids()
    assert 0 not in (uid, gid)
    assert site.owner_and_mode("etc/tinyfleet") == (0, gid, "0o750")
    assert site.owner_and_mode(CONFIG) == (0, gid, "0o640")
    assert site.owner_and_mode(DATA) == (uid, gid, "0o700")
    assert site.system.run(PROGRAM, "gateway", "check", f"/{CONFIG}", user="tinyfleet").returncode == 0
    assert site.system.run(PROGRAM, "gateway", "check", f"/{CONFIG}", user="daemon").returncode == 1


def test_installed_unit_is_one_that_systemd_takes(site: Site) -> None:
    done = site.system.run("systemd-analyze", "verify", f"/{UNIT}")
    assert done.returncode == 0 and not done.stderr, done.stderr
    broken = UNIT.replace("gateway", "broken")
    (site.system.root / broken).write_text(site.read(UNIT).replace("ExecStart=/opt", "ExecStart=/absent"), encoding="utf-8")
    done = site.system.run("systemd-analyze", "verify", f"/{broken}")
    assert done.returncode != 0 and "/absent/tinyfleet" in done.stderr, "it looks at the unit and for the program"


@asynccontextmanager
async def running_service(site: Site) -> AsyncIterator[int]:
    """The gateway as its unit starts it; yields the user that it runs as. It is asked to end, and does."""
    words = site.system.command(PROGRAM, "gateway", "run", f"/{CONFIG}", "--json", user="tinyfleet")
    gateway = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    try:
        assert gateway.stdout is not None
        assert json.loads(await asyncio.wait_for(gateway.stdout.readline(), HANG_S))
        child = child_of(gateway.pid)
        yield user_of(child)
        os.kill(child, signal.SIGTERM)
        assert await asyncio.wait_for(gateway.wait(), HANG_S) == 0
    finally:
        if gateway.returncode is None:
            gateway.kill()
            await gateway.wait()


def child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii"))


def user_of(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


async def test_installed_gateway_relays_as_its_own_user_and_updates_keep_its_configuration(site: Site, tmp_path: Path) -> None:
    board = FakeBoard()
    board.produce(50)
    async with tcp_peer(board) as (url, _), running_cloud(tmp_path / "cloud") as cloud:
        text = write_config(tmp_path, [url], cloud.url).read_text(encoding="utf-8").replace('"gateway data"', f'"/{DATA}"')
        (site.system.root / "service/mine.toml").write_text(text, encoding="utf-8")
        for words in (["/service/mine.toml"], []):
            done = await asyncio.to_thread(site.run_script, *words)
            assert done.returncode == 0, done.stdout + done.stderr
            assert site.read(CONFIG) == text
        async with running_service(site) as uid:
            assert uid == site.ids()[0]
            await wait_until(lambda: cloud.has(stored=50), "all records in the cloud")
        verdict = await audit_of(cloud, [board])
    assert verdict.is_exact and verdict.produced == 50, verdict
    assert site.owner_and_mode(f"{DATA}/outbox.db")[:2] == site.ids()
