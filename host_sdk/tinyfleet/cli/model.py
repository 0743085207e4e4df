"""``tinyfleet model``: packages that a device proves before it takes them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from tinyfleet.cli.device import TimeoutOption, UrlArgument
from tinyfleet.cli.output import JsonFlag, print_facts, print_json
from tinyfleet.cli.transfer import transfer_bar, transfer_facts
from tinyfleet_codegen.errors import ImageError, UsageError

if TYPE_CHECKING:
    from tinyfleet.device_models import DeviceModels, ModelSlot
    from tinyfleet.model_package import PackageContents
    from tinyfleet.smp.upload import UploadReport

T = TypeVar("T")

PackageArgument = Annotated[Path, typer.Argument(metavar="PACKAGE.tfp", help="A package that model pack wrote.")]
KeyOption = Annotated[Path | None, typer.Option("--key", metavar="PEM", help="Private model key; default: the development key.")]
OutputOption = Annotated[Path, typer.Option("--output", "-o", help="The file to write.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        help="Signed model packages: make them, send them, let the device prove them, swap and revert without a reset.",
        no_args_is_help=True,
        epilog="Example: tinyfleet model pack kws.tflite --board mps2_an386 -o kws.tfp",
    )
    group.command("pack", epilog="Example: tinyfleet model pack kws.tflite --board mps2_an386 -o kws.tfp")(pack_command)
    group.command("sign", epilog="Example: tinyfleet model sign kws.tfp --key model.pem -o kws-signed.tfp")(sign_command)
    group.command("inspect", epilog="Example: tinyfleet model inspect kws.tfp")(inspect_command)
    group.command("delta", epilog="Example: tinyfleet model delta kws-1.tfp kws-2.tfp -o kws-1-2.tfd")(delta_command)
    group.command("list", epilog="Example: tinyfleet model list tcp://127.0.0.1:5555")(list_command)
    group.command("push", epilog="Example: tinyfleet model push tcp://127.0.0.1:5555 kws.tfp --base kws-1.tfp")(push_command)
    group.command("test", epilog="Example: tinyfleet model test tcp://127.0.0.1:5555 --shadow 100 --agree 95")(test_command)
    group.command("confirm", epilog="Example: tinyfleet model confirm tcp://127.0.0.1:5555 --digest d9f6b276...")(confirm_command)
    group.command("revert", epilog="Example: tinyfleet model revert tcp://127.0.0.1:5555")(revert_command)
    group.command("erase", epilog="Example: tinyfleet model erase tcp://127.0.0.1:5555")(erase_command)
    app.add_typer(group, name="model")


def pack_command(
    model: Annotated[Path, typer.Argument(metavar="MODEL.tflite", help="An int8 model; a sidecar MODEL.json holds front end and labels.")],
    board: Annotated[str, typer.Option(help="Board id, or host for the board in memory.")],
    output: OutputOption,
    version: Annotated[str, typer.Option(metavar="A.B.C[+D]", help="Version of the package.")] = "1.0.0",
    seed: Annotated[int, typer.Option(help="Golden inputs are made from it.", min=0, max=2**32 - 1)] = 1,
    vectors: Annotated[int, typer.Option(help="Golden vectors made from the seed.", min=0, max=16)] = 4,
    stored_input: Annotated[Path | None, typer.Option(help=".npy with one input [1, ...] to prove as well, at most 4096 bytes.")] = None,
    device: Annotated[str | None, typer.Option(metavar="URL", help="Refuse what the firmware of this device lacks kernels for.")] = None,
    key: KeyOption = None,
    unsigned: Annotated[bool, typer.Option("--unsigned", help="Sign it later, on the machine that has the key: model sign.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Compile a model for a board, compute what it must answer, and wrap both."""
    from tinyfleet.model_package import GoldenPlan, pack_model, read_package  # noqa: PLC0415 - keeps --help fast
    from tinyfleet_codegen.package import load_package  # noqa: PLC0415

    kernels = None if device is None else _on_device(device, 5.0, lambda models: models.list(kernels=True)).kernels
    plan = GoldenPlan(seed, vectors, None if stored_input is None else _load_input(stored_input))
    signer = None if unsigned else _key(key)
    data = pack_model(load_package(model), board, golden=plan, version=version, kernels=kernels, key=signer)
    _write(output, data)
    _show_package(read_package(data), data, output, as_json)


def sign_command(package: PackageArgument, output: OutputOption, key: KeyOption = None, as_json: JsonFlag = False) -> None:
    """Sign a package; what it says stays as it is."""
    from tinyfleet.model_package import read_package, sign_package  # noqa: PLC0415

    data = sign_package(_read(package), _key(key))
    _write(output, data)
    _show_package(read_package(data), data, output, as_json)


def inspect_command(package: PackageArgument, as_json: JsonFlag = False) -> None:
    """What a package says."""
    data = _read(package)
    _show_package(_contents(package, data), data, None, as_json)


def delta_command(
    base: Annotated[Path, typer.Argument(metavar="BASE.tfp", help="The package that the device runs.")],
    package: PackageArgument,
    output: OutputOption,
    as_json: JsonFlag = False,
) -> None:
    """What has to be sent of a package to a device that runs another one; the whole package where that is hardly more."""
    from tinyfleet.model_package import make_delta  # noqa: PLC0415

    whole = _read(package)
    delta = make_delta(_read(base), whole)
    data = whole if delta is None else delta
    _write(output, data)
    share = len(data) / len(whole)
    if as_json:
        print_json({"path": output, "bytes": len(data), "package_bytes": len(whole), "share": share, "is_delta": delta is not None})
        return
    kind = "the whole package: a delta does not pay" if delta is None else f"a delta, {100 * share:.1f} % of {len(whole)} bytes"
    print_facts([("wrote", f"{output}, {len(data)} bytes"), ("is", kind)])


def list_command(url: UrlArgument, timeout: TimeoutOption = 5.0, as_json: JsonFlag = False) -> None:
    """The models of a device: which one answers, what is in the slots, how far a test is."""
    models = _on_device(url, timeout, lambda models: models.list(kernels=True))
    if as_json:
        facts = asdict(models)
        slots = [{**slot, "phase": slot["phase"].name.lower(), "status": slot["status"].c_name} for slot in facts.pop("slots")]
        kernels = sorted(facts.pop("kernels"))
        places = {"live": models.live.name.lower(), "previous": models.previous.name.lower()}
        print_json({"url": url, **facts, **places, "slots": slots, "kernels": kernels})
        return
    print_facts(
        [
            ("live", f"{models.live.name.lower()}, generation {models.generation}; before it {models.previous.name.lower()}"),
            ("reverts", f"{models.reverts} by itself since the start"),
            *((f"slot {number}", _slot_text(slot)) for number, slot in enumerate(models.slots)),
            ("offers", f"arena {models.arena_bytes} bytes, slot {models.slot_bytes} bytes, {len(models.kernels)} kernels"),
        ]
    )


def push_command(
    url: UrlArgument,
    package: PackageArgument,
    base: Annotated[Path | None, typer.Option(help="The package that the device runs: send only what differs from it.")] = None,
    timeout: TimeoutOption = 5.0,
    as_json: JsonFlag = False,
) -> None:
    """Send a package into the slot that is not live; goes on where an interrupted transfer ended."""
    from tinyfleet.model_package import make_delta, read_package  # noqa: PLC0415

    whole = _read(package)
    contents = _contents(package, whole)
    delta = None if base is None else make_delta(_read(base), whole)

    async def push(models: DeviceModels) -> UploadReport:
        known = await models.list()
        if len(whole) > known.slot_bytes:
            raise UsageError(f"{package} has {len(whole)} bytes, a slot of this device {known.slot_bytes}")
        data = whole
        if delta is not None and base is not None and known.live_digest == read_package(_read(base)).digest:
            data = delta
        with transfer_bar() as progress:
            return await models.push(data, progress=progress)

    sent = _on_device(url, timeout, push)
    if as_json:
        facts = {"package_bytes": len(whole), "sha256": hashlib.sha256(whole).digest()}
        print_json({"url": url, "digest": contents.digest, **facts, **asdict(sent)})
        return
    print_facts([("pushed", f"{sent.file_bytes} of {len(whole)} bytes"), *transfer_facts(sent), ("digest", contents.digest.hex())])


def test_command(
    url: UrlArgument,
    shadow: Annotated[int, typer.Option(help="Live inferences to watch after the golden vectors.", min=0)] = 0,
    agree: Annotated[int | None, typer.Option(help="Of those, how many must agree; all when not given.", min=0)] = None,
    difference: Annotated[int, typer.Option(help="Agreeing: no output element differs by more; 0: same largest element.", min=0)] = 0,
    budget: Annotated[int, typer.Option(metavar="MS", help="For one inference; 0: what the firmware allows.", min=0, max=60000)] = 0,
    deadline: Annotated[int, typer.Option(metavar="US", help="Once live, a later answer is late; 0: none.", min=0)] = 0,
    late: Annotated[int, typer.Option(help="So many late answers give the place back.", min=1)] = 1,
    stuck: Annotated[int, typer.Option(help="So many equal answers in a row give the place back; 0: never.", min=0)] = 0,
    skip_shadow: Annotated[bool, typer.Option("--skip-shadow", help="Go on where watching is not possible.")] = False,
    confirm: Annotated[bool, typer.Option("--confirm", help="Take the place as soon as it is proved.")] = False,
    wait: Annotated[float, typer.Option(metavar="SECONDS", help="Longest wait for the end of the test.", min=0.1)] = 60.0,
    timeout: TimeoutOption = 5.0,
    as_json: JsonFlag = False,
) -> None:
    """Let the device prove what was pushed: signature, board, kernels, memory, golden vectors, then beside the live model."""
    from tinyfleet.device_models import TestPolicy  # noqa: PLC0415

    policy = TestPolicy(shadow, shadow if agree is None else agree, difference, budget, deadline, late, stuck, skip_shadow, confirm)

    async def test(models: DeviceModels) -> ModelSlot:
        await models.test(policy)
        return await models.wait(timeout_s=wait)

    slot = _on_device(url, timeout, test)
    if as_json:
        print_json({"url": url, **asdict(slot), "phase": slot.phase.name.lower(), "status": slot.status.c_name})
        return
    print_facts([("package", _slot_text(slot)), ("next", f"tinyfleet model confirm {url}" if not confirm else "nothing: it is live")])


def confirm_command(
    url: UrlArgument,
    digest: Annotated[str | None, typer.Option(help="Only the package with this digest, in hex.")] = None,
    timeout: TimeoutOption = 5.0,
    as_json: JsonFlag = False,
) -> None:
    """Make the proved package live; durable when it returns."""
    try:
        wanted = None if digest is None else bytes.fromhex(digest)
    except ValueError:
        raise UsageError(f"the digest {digest!r} is not hexadecimal") from None
    if wanted is not None and len(wanted) != 32:
        raise UsageError(f"the digest has {len(wanted)} bytes, 32 make one", hint="model push and model list show it")
    generation = _on_device(url, timeout, lambda models: models.confirm(wanted))
    _show_generation(url, "live", generation, as_json)


def revert_command(url: UrlArgument, timeout: TimeoutOption = 5.0, as_json: JsonFlag = False) -> None:
    """Make the model live that was before."""
    _show_generation(url, "live again", _on_device(url, timeout, lambda models: models.revert()), as_json)


def erase_command(url: UrlArgument, timeout: TimeoutOption = 5.0, as_json: JsonFlag = False) -> None:
    """Forget what is in the slot that is not live."""
    _on_device(url, timeout, lambda models: models.erase())
    if as_json:
        print_json({"url": url})


def _key(path: Path | None) -> Path:
    from tinyfleet.signing_keys import development_keys  # noqa: PLC0415

    return development_keys().model if path is None else path


def _on_device(url: str, timeout_s: float, work: Callable[[DeviceModels], Awaitable[T]]) -> T:
    from tinyfleet.device import open_device  # noqa: PLC0415

    async def run() -> T:
        async with open_device(url, timeout_s=timeout_s) as device:
            return await work(device.models)

    return asyncio.run(run())


def _show_generation(url: str, what: str, generation: int, as_json: bool) -> None:
    if as_json:
        print_json({"url": url, "generation": generation})
    else:
        print_facts([(what, f"generation {generation}")])


def _show_package(contents: PackageContents, data: bytes, path: Path | None, as_json: bool) -> None:
    if as_json:
        facts = {name: value for name, value in asdict(contents).items() if name not in ("blob", "vectors", "stored_input")}
        types = {"input_dtype": contents.input_dtype.name.lower(), "output_dtype": contents.output_dtype.name.lower()}
        print_json({"path": path, "bytes": len(data), **facts, **types, "version": contents.version_text, "vectors": len(contents.vectors)})
        return
    print_facts(
        [
            *((("wrote", f"{path}, {len(data)} bytes"),) if path is not None else ()),
            ("package", f"{contents.version_text}, digest {contents.digest.hex()}"),
            ("model", f"{contents.model_id.hex()[:8]}, {contents.input_bytes} bytes in, {contents.output_bytes} out"),
            ("needs", f"arena {contents.arena_bytes} bytes, {len(contents.kernels)} kernels"),
            ("golden", f"{len(contents.vectors)} vectors"),
            ("signed", f"by the key {contents.key_hash.hex()[:16]}" if contents.is_signed else "no: tinyfleet model sign"),
        ]
    )


def _slot_text(slot: ModelSlot) -> str:
    text = slot.phase.name.lower()
    text += f" ({slot.status.c_name})" if slot.status else ""
    if slot.name is not None:
        text += f", {slot.name}, digest {(slot.digest or b'').hex()[:16]}"
    if slot.generation:
        text += f", generation {slot.generation}"
    text += f", {slot.proved} golden vectors" if slot.proved else ""
    return text + (f", {slot.agreed} of {slot.shadowed} agreed" if slot.shadowed else "")


def _load_input(path: Path) -> Any:
    import numpy as np  # noqa: PLC0415

    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "it is not a .npy file"
        raise UsageError(f"cannot read {path}: {reason}", hint="write it with np.save(path, input)") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", hint="tinyfleet model pack writes a package") from error


def _contents(path: Path, data: bytes) -> PackageContents:
    from tinyfleet.model_package import read_package  # noqa: PLC0415

    try:
        return read_package(data)
    except ImageError as error:
        raise ImageError(f"{path}: {error}", hint=error.hint or "tinyfleet model pack writes a package") from error


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", hint="give another file with -o") from error
