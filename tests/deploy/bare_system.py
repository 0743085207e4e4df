"""A bare Debian or Ubuntu in a folder: packages of this machine's release, unpacked. Programs run in it by ``chroot``.

No script of a package is run, and nothing of this machine can be written from inside: its /dev, its /proc and its copy of the certificates
are its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

PACKAGES = [
    "base-files", "base-passwd", "bash", "bsdutils", "coreutils", "dash", "debianutils", "diffutils", "dpkg", "findutils", "grep",
    "gzip", "hostname", "init-system-helpers", "libc-bin", "login", "ncurses-base", "ncurses-bin", "perl-base", "sed", "sysvinit-utils",
    "tar", "util-linux", "passwd", "mawk", "libstdc++6",
]  # fmt: skip
"""What every system of this family has; the last one because of apt."""
MERGED = ("bin", "sbin", "lib", "lib64")
STEP_S = 900.0
PASSED_ON = ("PIP_DEFAULT_TIMEOUT", "PIP_INDEX_URL")
UNSHARE = ("unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child")
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
ENTER = """
r=$1; shift
mount --make-rprivate /
mount -t proc -o nosuid,nodev,noexec proc "$r/proc"
mount --bind "$r/proc/sys" "$r/proc/sys"
mount -o remount,bind,ro "$r/proc/sys"
mount -t tmpfs -o mode=755 tmpfs "$r/dev"
for node in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 666 "$r/dev/${node%:*}" c 1 "${node#*:}"; done
exec chroot "$r" "$@"
"""


class BareSystem:
    """Such a folder.

    Args:
        folder: New; takes 350 MB.
        extra: Packages beside those that every system has.
    """

    def __init__(self, folder: Path, extra: Sequence[str]) -> None:
        assert os.getuid() == 0, "this test needs root: it makes a system in a folder and runs programs in it by chroot"
        self._folder = folder
        self.root = folder / "root"
        self._download([*PACKAGES, *extra])
        self._unpack()
        self._configure()

    def command(self, *words: str, user: str = "root", env: dict[str, str] | None = None) -> list[str]:
        """What runs a program in it, in place of the shell that starts it: as a user, with this machine's network and certificates."""
        passed = {name: value for name, value in os.environ.items() if name in PASSED_ON or name.lower().endswith("_proxy")}
        trust = dict.fromkeys(("PIP_CERT", "SSL_CERT_FILE"), CERTIFICATES)
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/", **trust, **passed, **(env or {})}
        become = [] if user == "root" else ["setpriv", "--reuid", user, "--regid", user, "--init-groups"]
        run = ["env", "-i", *(f"{name}={value}" for name, value in environment.items()), *become, *words]
        return [*UNSHARE, "sh", "-euc", ENTER, "enter", str(self.root), *run]

    def run(self, *words: str, user: str = "root", env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program in it to its end."""
        return subprocess.run(
            self.command(*words, user=user, env=env), capture_output=True, text=True, timeout=STEP_S, check=False, stdin=subprocess.DEVNULL
        )

    def _download(self, packages: list[str]) -> None:
        """As on a machine that has nothing: state and cache of its own."""
        place = self._folder
        for name in ("state/lists/partial", "cache/archives/partial", "log"):
            (place / name).mkdir(parents=True)
        (place / "status").touch()
        options = {
            "Dir::State": place / "state", "Dir::State::status": place / "status", "Dir::Cache": place / "cache",
            "Dir::Log": place / "log", "Debug::NoLocking": 1, "APT::Sandbox::User": "root",
        }  # fmt: skip
        apt = ["apt-get", "-q", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
        _run([*apt, "update"])
        _run([*apt, "install", "-y", "--no-install-recommends", "--download-only", *packages])

    def _unpack(self) -> None:
        for name in MERGED:
            (self.root / "usr" / name).mkdir(parents=True)
            (self.root / name).symlink_to(f"usr/{name}")
        for deb in sorted((self._folder / "cache" / "archives").glob("*.deb")):
            with (
                subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as packed,
                tarfile.open(fileobj=packed.stdout, mode="r|") as tar,
            ):
                # Python 3.11.2 has no filters yet; what would leave the folder is refused below.
                tar.extraction_filter = lambda member, _: member
                for member in tar:
                    self._extract(tar, member)
            assert packed.returncode == 0, deb

    def _extract(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        member.name = _merged(member.name)
        if member.islnk():
            member.linkname = _merged(member.linkname)
        if member.name in {"", *(f"usr/{name}" for name in MERGED)}:
            return
        folder = (self.root / member.name).parent.resolve()
        assert folder.is_relative_to(self.root.resolve()), f"{member.name} lies in {folder}"
        tar.extract(member, self.root)

    def _configure(self) -> None:
        """What scripts of packages would make, and programs look for."""
        etc, share = self.root / "etc", self.root / "usr/share"
        for name in ("passwd", "group"):
            shutil.copy(share / f"base-passwd/{name}.master", etc / name)
        (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n", encoding="ascii")
        for file in (CERTIFICATES, "/etc/resolv.conf", "/etc/hosts"):
            copy = self.root / file[1:]
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)
        for convert in ("pwconv", "grpconv"):
            done = self.run(convert)
            assert done.returncode == 0, done.stderr


def _merged(name: str) -> str:
    """A path of a package where /bin and its like are below /usr."""
    path = name.removeprefix("./").rstrip("/")
    return f"usr/{path}" if path.partition("/")[0] in MERGED else path if path != "." else ""


def _run(words: list[str]) -> None:
    done = subprocess.run(words, capture_output=True, text=True, timeout=STEP_S, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
