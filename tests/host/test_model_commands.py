"""``tinyfleet model``, as a user runs it, on a board in memory that keeps its flash in a file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest

from tests.host.test_device_commands import tinyfleet
from tests.support.small_models import dense_package
from tinyfleet.device import connect
from tinyfleet.device_models import TestPolicy
from tinyfleet.signing_keys import KEYS_VARIABLE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Models, and development keys of these tests alone."""
    tmp_path = tmp_path_factory.mktemp("models")
    for name, package in (
        ("built_in", dense_package("built_in", 1)),
        ("next", dense_package("next", 2, hidden=64)),
        ("retrained", dense_package("retrained", 2, hidden=64, head_seed=5)),
    ):
        package.save(tmp_path / f"{name}.tflite")
    np.save(tmp_path / "window.npy", np.arange(24, dtype=np.int8).reshape(1, 8, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEYS_VARIABLE, str(tmp_path / "keys"))
        yield tmp_path


async def run(*words: object) -> str:
    code, out, err = await tinyfleet(*map(str, words))
    assert (code, err) == (0, ""), err
    return out


async def facts(*words: object) -> dict[str, object]:
    result = json.loads(await run(*words, "--json"))
    assert isinstance(result, dict)
    return result


async def test_from_a_model_to_a_swapped_board_and_back(folder: Path, tmp_path: Path) -> None:
    await run("compile", folder / "built_in.tflite", "--board", "host", "--swap-arena", 4096, "-o", folder / "model")
    url = "memory://?" + urlencode({"model": folder / "model", "nvm": tmp_path / "board.nvm"})
    options = ("--board", "host", "--vectors", 3, "--stored-input", folder / "window.npy", "--device", url)
    packed = await facts("model", "pack", folder / "next.tflite", *options, "-o", folder / "next.tfp")
    assert (packed["vectors"], packed["is_signed"], packed["version"]) == (4, True, "1.0.0")
    sent = await facts("model", "push", url, folder / "next.tfp")
    assert sent["digest"] == packed["digest"] and sent["sent_bytes"] == packed["bytes"]
    assert "digest" in await run("model", "inspect", folder / "next.tfp")
    proved = await facts("model", "test", url, "--confirm")
    assert (proved["status"], proved["proved"]) == ("TYF_OK", 4) or proved["phase"] == "empty"
    listed = await facts("model", "list", url)
    assert (listed["live"], listed["generation"], listed["previous"]) == ("slot_0", 2, "built_in")
    assert (await facts("device", "info", url))["model"]["name"] == "next"  # type: ignore[index]
    # Only what differs is sent; unsigned first, then signed elsewhere.
    await run("model", "pack", folder / "retrained.tflite", "--board", "host", "--version", "1.1.0", "--unsigned", "-o", folder / "u.tfp")
    await run("model", "sign", folder / "u.tfp", "-o", folder / "retrained.tfp")
    delta = await facts("model", "delta", folder / "next.tfp", folder / "retrained.tfp", "-o", folder / "retrained.tfd")
    pushed = await facts("model", "push", url, folder / "retrained.tfp", "--base", folder / "next.tfp")
    assert delta["is_delta"] is True and pushed["file_bytes"] == delta["bytes"] < pushed["package_bytes"]  # type: ignore[operator]
    text = await run("model", "test", url, "--confirm")
    assert "nothing: it is live" in text
    assert "slot_1, generation 3; before it slot_0" in await run("model", "list", url)
    assert (await facts("model", "revert", url))["generation"] == 2
    await run("model", "erase", url)
    assert "slot 1   empty" in await run("model", "list", url)


async def test_refusals_say_what_to_do(folder: Path, tmp_path: Path) -> None:
    await run("compile", folder / "built_in.tflite", "--board", "host", "--swap-arena", 4096, "-o", folder / "model")
    url = "memory://?" + urlencode({"model": folder / "model", "nvm": tmp_path / "board.nvm"})
    await run("model", "pack", folder / "next.tflite", "--board", "host", "--unsigned", "-o", folder / "u.tfp")
    await run("model", "push", url, folder / "u.tfp")
    for words, code, message in (
        (("test", url), 1, "refused the package: TYF_ERR_SIGNATURE\n  hint: sign it with the model key"),
        (("confirm", url), 1, "TYF_ERR_STATE"),
        (("confirm", url, "--digest", "xy"), 2, "not hexadecimal"),
        (("confirm", url, "--digest", "ab"), 2, "has 1 bytes"),
        (("inspect", folder / "window.npy"), 1, "not with MCUboot's"),
        (("inspect", folder / "absent.tfp"), 2, "cannot read"),
        (("pack", folder / "next.tflite", "--board", "nowhere", "-o", folder / "x.tfp"), 2, "there is no board 'nowhere'"),
    ):
        got, _, err = await tinyfleet("model", *map(str, words))
        assert got == code and message in err, (words, err)


def test_models_of_a_device_without_an_event_loop(folder: Path, tmp_path: Path) -> None:
    asyncio.run(run("compile", folder / "built_in.tflite", "--board", "host", "--swap-arena", 4096, "-o", tmp_path / "model"))
    asyncio.run(run("model", "pack", folder / "next.tflite", "--board", "host", "-o", tmp_path / "next.tfp"))
    data = (tmp_path / "next.tfp").read_bytes()
    with connect("memory://?" + urlencode({"model": tmp_path / "model", "nvm": tmp_path / "board.nvm"})) as device:
        models = device.models
        assert models.push(data).resumed_at == 0
        models.test(TestPolicy(budget_ms=1000))
        digest = models.wait().digest
        assert models.confirm(digest) == 2 and models.list().live_digest == digest
        device.restart()
        assert models.list().generation == 2
        assert models.revert() == 1
        assert models.push(data).file_bytes == len(data)
        models.erase()
        assert models.push(data).resumed_at == 0
