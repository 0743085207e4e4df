"""Building firmware: offline, beside no source, with errors that say what is wrong."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from hil_tests.conftest import small_package
from tinyfleet.elf import elf_size
from tinyfleet.platformio_build import build_firmware
from tinyfleet.platformio_build.scons_package import package_version
from tinyfleet.toolchain import find_arm_gcc
from tinyfleet_codegen.compile import compile_model
from tinyfleet_codegen.errors import BuildError, DoesNotFit, ImageError, SetupError, UsageError
from tinyfleet_codegen.firmware_tree import firmware_dir

BOARD = "mps2_an386"
APP = """
#include <stdint.h>

#include "model.h"
#include "tyf/port/system.h"

int main(void);

_Alignas(16) static uint8_t arena[TYF_APP_ARENA_BYTES];

int main(void) {
    tyf_port_start();
    tyf_model_run(&TYF_APP_MODEL, arena, 0, 0);
    for (;;) {
        tyf_port_idle();
    }
}
"""


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("a model")
    compile_model(small_package(), BOARD, folder)
    return folder


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output folders by board, shared, so that what an app does not change is compiled once."""
    return tmp_path_factory.mktemp("out put")


@pytest.fixture
def app(out: Path) -> Path:
    """Always in the same place: objects remember where they come from."""
    folder = out / "my app"
    folder.mkdir(exist_ok=True)
    (folder / "main.c").write_text(APP)
    return folder


def sources() -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in firmware_dir().rglob("*") if path.is_file() and ".pio" not in path.parts}


OTHER_BOARDS = ("mps2_an385", "mps2_an500", "mps2_an505", "mps3_an547")


@pytest.mark.parametrize("board", [BOARD, "mps2_an385_v6m", *(pytest.param(board, marks=pytest.mark.full) for board in OTHER_BOARDS)])
def test_own_app_builds_offline_in_a_path_with_spaces(
    board: str, model_dir: Path, app: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever asks the network gets an error at once.
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("PLATFORMIO_BUILD_FLAGS", "-DNONSENSE -fno-such-flag")
    before = sources()
    built = build_firmware(board, model_dir, out / board, app=str(app))
    assert built.elf.read_bytes()[:4] == b"\x7fELF"
    assert 500 < built.flash_bytes < 20_000 and 8192 < built.ram_bytes < 40_000
    # The image ends with the last initial value: as many bytes as flash holds, but for alignment.
    assert abs(built.image.stat().st_size - built.flash_bytes) < 16
    assert "arena" in built.linker_map.read_text()
    assert "Compiling" in (out / board / "pio" / "build.log").read_text()
    assert sources().keys() == before.keys()


def test_second_build_compiles_nothing_and_changed_model_compiles_little(model_dir: Path, app: Path, tmp_path: Path) -> None:
    def compiled() -> list[str]:
        build_firmware(BOARD, model_dir, tmp_path / "out", app=str(app))
        return [line for line in (tmp_path / "out/pio/build.log").read_text().splitlines() if line.startswith("Compiling")]

    assert len(compiled()) > 5
    assert compiled() == []
    (app / "main.c").write_text(APP.replace("tyf_port_idle();", "tyf_port_idle(); /* changed */ (void)arena;"))
    assert len(compiled()) == 1


def test_equal_sources_in_other_places_give_equal_images(model_dir: Path, app: Path, tmp_path: Path) -> None:
    images = [build_firmware(BOARD, model_dir, tmp_path / name, app=str(app)).image.read_bytes() for name in ("a", "somewhere else")]
    assert images[0] == images[1]


@pytest.mark.parametrize("board", ["mps2_an385_v6m", "microbit"])
def test_armv6m_boards_run_no_instruction_of_a_larger_core(board: str, model_dir: Path, app: Path, out: Path) -> None:
    # The linker raises the attribute to the largest of all objects, so the emulated Cortex-M3 cannot hide one.
    built = build_firmware(board, model_dir, out / board, app=str(app))
    readelf = find_arm_gcc().with_name("arm-none-eabi-readelf")
    attributes = subprocess.run([readelf, "-A", built.elf], capture_output=True, text=True, check=True, timeout=300).stdout
    assert re.search(r"Tag_CPU_arch: v6S?-M$", attributes, re.MULTILINE), attributes


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("int main(void) { return 1 +; }", r"main\.c:1:\d+: error: expected expression"),
        ("int main(void); int main(void) { unsigned a = -1; return (int)a; }", "sign-conversion|changes value"),
        ("int main(void); extern int gone(void); int main(void) { return gone(); }", "undefined reference to `gone'"),
    ],
    ids=["syntax", "warning", "link"],
)
def test_refused_code_is_a_build_error_with_the_compilers_words(bad: str, message: str, model_dir: Path, app: Path, out: Path) -> None:
    (app / "main.c").write_text(bad + "\n")
    with pytest.raises(BuildError, match=message) as refused:
        build_firmware(BOARD, model_dir, out / BOARD, app=str(app))
    assert "build.log" in str(refused.value.hint)


def test_a_board_without_enough_ram_is_refused_with_what_is_largest(model_dir: Path, app: Path, out: Path) -> None:
    (app / "main.c").write_text("int main(void); char big[5000000]; int main(void) { return big[3]; }\n")
    with pytest.raises(DoesNotFit, match=r"needs \d+ bytes more RAM than board mps2_an386 has") as caught:
        build_firmware(BOARD, model_dir, out / BOARD, app=str(app))
    assert caught.value.hint is not None and " holds " in caught.value.hint


def test_missing_things_are_usage_errors(model_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no board 'mps3'"):
        build_firmware("mps3", model_dir, tmp_path)
    with pytest.raises(UsageError, match="no app 'toaster'"):
        build_firmware(BOARD, model_dir, tmp_path, app="toaster")
    with pytest.raises(UsageError, match="no generated model"):
        build_firmware(BOARD, tmp_path, tmp_path / "out")


def test_missing_compiler_is_a_setup_error_at_once(model_dir: Path, app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("TINYFLEET_TOOLS", str(tmp_path / "tools"))
    with pytest.raises(SetupError, match=r"arm-none-eabi-gcc is not installed: looked in .*tools/usr/bin and PATH"):
        build_firmware(BOARD, model_dir, tmp_path / "out", app=str(app))
    assert not (tmp_path / "out").exists(), "before anything is made or started"


def test_elf_size_refuses_other_files(tmp_path: Path) -> None:
    for name, content in (("empty", b""), ("text", b"x" * 100), ("cut", b"\x7fELF\x01\x01" + bytes(range(100)))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ImageError):
            elf_size(tmp_path / name)


@pytest.mark.parametrize(("scons", "package"), [("4.11.1", "4.41101.0"), ("4.8.1", "4.40801.0"), ("4.9", "4.40900.0")])
def test_scons_version_becomes_platformios(scons: str, package: str) -> None:
    assert package_version(scons) == package
