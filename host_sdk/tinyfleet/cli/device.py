"""``tinyfleet device``: talk to one device."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tinyfleet.cli import device_scan, device_store
from tinyfleet.cli.output import JsonFlag, print_facts, print_json
from tinyfleet_codegen.errors import UsageError

if TYPE_CHECKING:
    import numpy.typing as npt

    from tinyfleet.device import ModelInfo

UrlArgument = Annotated[
    str,
    typer.Argument(
        metavar="URL",
        help="serial:///dev/ttyACM0, serial://usb:SERIAL, ble://NAME, tcp://HOST:PORT, emu://BOARD?elf=FILE or memory://?model=DIR.",
    ),
]
TimeoutOption = Annotated[float, typer.Option("--timeout", metavar="SECONDS", help="Longest wait for one answer.", min=0.1)]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Talk to one device.", no_args_is_help=True, epilog="Example: tinyfleet device info tcp://127.0.0.1:5555")
    group.command("info", epilog="Example: tinyfleet device info tcp://127.0.0.1:5555")(info_command)
    group.command("stats", epilog="Example: tinyfleet device stats serial:///dev/ttyACM0")(stats_command)
    group.command("tasks", epilog="Example: tinyfleet device tasks tcp://127.0.0.1:5555 --json")(tasks_command)
    group.command("logs", epilog="Example: tinyfleet device logs tcp://127.0.0.1:5555 --json")(logs_command)
    group.command("results", epilog="Example: tinyfleet device results tcp://127.0.0.1:5555 --since 100 --max 10")(results_command)
    group.command("window", epilog="Example: tinyfleet device window tcp://127.0.0.1:5555 --seq 120 -o window.npy")(window_command)
    group.command("infer", epilog="Example: tinyfleet device infer tcp://127.0.0.1:5555 --input window.npy")(infer_command)
    group.command("sample", epilog="Example: tinyfleet device sample tcp://127.0.0.1:5555 --period-ms 10 --seed 1 --count 100")(
        sample_command
    )
    group.command("crash", epilog="Example: tinyfleet device crash tcp://127.0.0.1:5555 --elf build/firmware.elf")(crash_command)
    group.command("reset", epilog="Example: tinyfleet device reset serial:///dev/ttyACM0")(reset_command)
    group.command("provision", epilog="Example: tinyfleet device provision serial:///dev/ttyACM0 --lock")(provision_command)
    device_store.add_commands(group)
    device_scan.add_command(group)
    app.add_typer(group, name="device")


def info_command(url: UrlArgument, timeout: TimeoutOption = 5.0, as_json: JsonFlag = False) -> None:
    """Who it is and which model it runs."""
    from tinyfleet.device import connect  # noqa: PLC0415 - keeps --help fast

    with connect(url, timeout_s=timeout) as device:
        hello, model, (buf_size, buf_count) = device.hello(), device.model_info(), device.params()
    if as_json:
        print_json({"url": url, **asdict(hello), "buf_size": buf_size, "buf_count": buf_count, "model": _model_facts(model)})
        return
    rows = [
        ("device", f"{hello.device_id.hex()}, boot {hello.boot_id}, up {hello.uptime_us / 1e6:.1f} s"),
        ("board", f"{hello.board}, app {hello.app}"),
        ("protocol", f"{hello.proto_min} to {hello.proto_max}, frames up to {buf_size} bytes"),
        ("model", f"{model.name}, {model.model_id.hex()[:8]}, generation {model.generation}, {model.layers} layers"),
        ("input", f"{model.input_bytes} bytes {model.input_dtype.name.lower()}"),
        ("output", f"{model.output_bytes} bytes {model.output_dtype.name.lower()}"),
        ("arena", f"{model.arena_bytes / 1024:.1f} KiB"),
    ]
    if model.channels:
        rows.append(("sensor", f"{model.channels} channels, windows of {model.window_samples} samples every {model.hop_samples}"))
    print_facts(rows)


def stats_command(url: UrlArgument, timeout: TimeoutOption = 5.0, as_json: JsonFlag = False) -> None:
    """Its counters since boot."""
    from tinyfleet.device import connect  # noqa: PLC0415

    with connect(url, timeout_s=timeout) as device:
        stats = device.stats()
    if as_json:
        print_json({"url": url, **asdict(stats)})
        return
    hexadecimal = ("fault_pc", "fault_lr", "fault_cfsr")
    print_facts([(name, f"0x{value:08x}" if name in hexadecimal else str(value)) for name, value in asdict(stats).items()])


def tasks_command(url: UrlArgument, timeout: TimeoutOption = 5.0, as_json: JsonFlag = False) -> None:
    """Its contexts: the main loop and live inference, with their stacks and the time that they took."""
    from tinyfleet.device import connect  # noqa: PLC0415

    with connect(url, timeout_s=timeout) as device:
        tasks = device.tasks()
    if as_json:
        print_json({"url": url, "tasks": [asdict(task) for task in tasks]})
        return
    print_facts(
        (
            task.name,
            f"priority {task.priority}, {task.runs} runs, {task.runtime_ms} ms, stack {task.stack_used} of {task.stack_bytes} bytes",
        )
        for task in tasks
    )


def results_command(
    url: UrlArgument,
    since: Annotated[int, typer.Option(help="First sequence number wanted.", min=0)] = 0,
    max_records: Annotated[int, typer.Option("--max", help="Most records to show.", min=1)] = 20,
    timeout: TimeoutOption = 5.0,
    as_json: JsonFlag = False,
) -> None:
    """Its telemetry records; reading removes nothing."""
    from tinyfleet.device import connect  # noqa: PLC0415
    from tinyfleet_codegen.wire.record import Record, decode_record  # noqa: PLC0415

    records: list[Record] = []
    lost = 0
    with connect(url, timeout_s=timeout) as device:
        pulled = device.results(since, max_records)
        while True:
            lost += pulled.lost
            records += map(decode_record, pulled.records)
            if not pulled.records or len(records) >= max_records:
                break
            pulled = device.results(pulled.next, max_records - len(records))
    if as_json:
        rows = [asdict(record) for record in records]
        print_json(
            {"url": url, "device_id": pulled.device_id, "boot_id": pulled.boot_id, "next": pulled.next, "lost": lost, "records": rows}
        )
        return
    print_facts([("device", f"{pulled.device_id.hex()}, boot {pulled.boot_id}"), ("next", str(pulled.next)), ("lost", str(lost))])
    print_facts(
        (f"{record.seq}", f"stream {record.stream} sample {record.sample_index}  top {record.top}  {record.output[:16].hex()}")
        for record in records
    )


def window_command(
    url: UrlArgument,
    seq: Annotated[int, typer.Option(help="Sequence number of the record.", min=0, max=2**32 - 1)],
    boot: Annotated[int | None, typer.Option(help="Its boot; default: the one that the device is in.", min=0, max=2**32 - 1)] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write it there: .npy, or its raw bytes.")] = None,
    timeout: TimeoutOption = 5.0,
    as_json: JsonFlag = False,
) -> None:
    """What the answer of a record was made from: raw samples, or the model's input."""
    from tinyfleet.device import connect  # noqa: PLC0415

    with connect(url, timeout_s=timeout) as device:
        boot_id = device.hello().boot_id if boot is None else boot
        window = device.window(boot_id, seq)
    if output is not None:
        _write_tensor(output, window)
    if as_json:
        facts = {"boot_id": boot_id, "seq": seq, "dtype": str(window.dtype), "shape": list(window.shape), "data": window.tobytes()}
        print_json({"url": url, **facts})
        return
    shown = window.reshape(-1)[:12].tolist()
    print_facts(
        [
            ("record", f"{boot_id}/{seq}"),
            ("window", f"{window.dtype} {list(window.shape)}, {window.nbytes} bytes"),
            ("begins", " ".join(map(str, shown)) + (" ..." if window.size > len(shown) else "")),
        ]
    )


def infer_command(
    url: UrlArgument,
    input_file: Annotated[Path, typer.Option("--input", "-i", help="The input tensor: .npy, or its raw bytes.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the output tensor's raw bytes there.")] = None,
    timeout: TimeoutOption = 30.0,
    as_json: JsonFlag = False,
) -> None:
    """Run its model on one input."""
    from tinyfleet.device import connect  # noqa: PLC0415

    data = _read_tensor(input_file)
    with connect(url, timeout_s=timeout) as device:
        expected = device.model_info().input_bytes
        if len(data) != expected:
            raise UsageError(f"{input_file} holds {len(data)} bytes, the model takes {expected}")
        result = device.infer(data)
        instructions = device.stats().last_instructions
    if output is not None:
        output.write_bytes(result)
    if as_json:
        print_json({"url": url, "output": result, "output_bytes": len(result), "instructions": instructions})
        return
    shown = result[:32].hex() + (f"... ({len(result)} bytes)" if len(result) > 32 else "")
    print_facts([("output", shown), ("instructions", str(instructions) if instructions else "not counted on this board")])


def sample_command(
    url: UrlArgument,
    period_ms: Annotated[int | None, typer.Option(help="Let its own sensor measure this often; 0: stop.", min=0, max=60000)] = None,
    seed: Annotated[int, typer.Option(help="What it measures: made from this number.", min=0)] = 0,
    count: Annotated[int, typer.Option(help="So many times; 0: until stopped.", min=0)] = 0,
    timeout: TimeoutOption = 5.0,
    as_json: JsonFlag = False,
) -> None:
    """Start, stop or look at its own sensor; the answers are its telemetry records of stream 0."""
    from tinyfleet.device import connect  # noqa: PLC0415

    with connect(url, timeout_s=timeout) as device:
        sampling = device.sampling() if period_ms is None else device.sample(period_ms, seed=seed, count=count)
    if as_json:
        print_json({"url": url, **asdict(sampling)})
        return
    print_facts([(name, str(value)) for name, value in asdict(sampling).items()])


def crash_command(
    url: UrlArgument,
    elf: Annotated[Path | None, typer.Option("--elf", help="The firmware that crashed: tells function, file and line.")] = None,
    timeout: TimeoutOption = 5.0,
    as_json: JsonFlag = False,
) -> None:
    """Its last crash: what, where, in which model."""
    from tinyfleet.crash import explain_crash  # noqa: PLC0415
    from tinyfleet.device import connect  # noqa: PLC0415

    with connect(url, timeout_s=timeout) as device:
        record = device.crash()
    if record is None:
        if as_json:
            print_json({"url": url, "crash": None})
        else:
            typer.echo("no crash is recorded", err=True)
        return
    report = explain_crash(record, elf)
    if as_json:
        print_json({"url": url, "crash": {**asdict(record), **asdict(report)}})
        return
    rows = [
        ("crash", f"{report.why} in {report.context}" + (f": {', '.join(report.faults)}" if report.faults else "")),
        ("at", str(report.place) if report.place else f"0x{record.pc:08x}, returns to 0x{record.lr:08x}, stack 0x{record.sp:08x}"),
        ("model", f"{record.model_id.hex()[:8]}, generation {record.model_generation}"),
        ("when", f"{record.uptime_us / 1e6:.3f} s after its start, {record.resets} resets after power-on"),
        ("firmware", record.firmware_hash.hex()),
    ]
    if report.caller:
        rows.insert(2, ("called by", str(report.caller)))
    if record.address:
        rows.insert(2, ("access to", f"0x{record.address:08x}"))
    rows += [("on its stack", str(place)) for place in report.trace]
    print_facts(rows)


def logs_command(url: UrlArgument, timeout: TimeoutOption = 5.0, as_json: JsonFlag = False) -> None:
    """Its log of events: boots and why, updates, models, sessions, what was denied. Kept over resets, not over a loss of power."""
    from tinyfleet.device import connect  # noqa: PLC0415
    from tinyfleet.event_log import event_text  # noqa: PLC0415

    with connect(url, timeout_s=timeout) as device:
        events = device.events()
    if as_json:
        print_json({"url": url, "events": [{**asdict(event), "text": event_text(event)} for event in events]})
        return
    for event in events:
        typer.echo(f"{event.number:5}  boot {event.boot_id}  {event.uptime_ms / 1000:10.3f} s  {event_text(event)}")


def reset_command(url: UrlArgument, timeout: TimeoutOption = 5.0, as_json: JsonFlag = False) -> None:
    """Restart it."""
    from tinyfleet.device import connect  # noqa: PLC0415

    with connect(url, timeout_s=timeout) as device:
        before = device.hello().boot_id
        device.reset()
    if as_json:
        print_json({"url": url, "boot_id_before": before})
    else:
        print_facts([("reset", f"{url}, was boot {before}")])


def provision_command(
    url: UrlArgument,
    lock: Annotated[
        bool, typer.Option("--lock", help="Let the device ask for a session on every link from now on; cannot be undone.")
    ] = False,
    timeout: TimeoutOption = 5.0,
    as_json: JsonFlag = False,
) -> None:
    """Give it a new key for sessions and keep the key for this user.

    The first key over a wire, later ones also over the air. From then on this host opens a session by itself. The key is a file of its
    own, readable by this user only; it is never printed.
    """
    from tinyfleet.device import connect  # noqa: PLC0415
    from tinyfleet.device_keys import key_path, load_keys, new_key  # noqa: PLC0415

    with connect(url, timeout_s=timeout, in_session=False) as device:
        device_id, status = device.hello().device_id, device.session_status()
    # A locked device takes a new key from who holds the old one, and over the air every device does; any other has perhaps lost it.
    with connect(url, timeout_s=timeout, in_session=status.locked or url.startswith("ble://")) as device:
        if not any(device_id):
            raise UsageError(f"{url} has no identity, so no key can be its own", hint="emulated boards get one from tinyfleet emulate")
        had_key = bool(load_keys(device_id))
        with new_key(device_id) as key:
            device.provision(key, lock=lock)
    facts = {
        "url": url,
        "device_id": device_id.hex(),
        "key_file": str(key_path(device_id)),
        "locked": lock or status.locked,
        "replaced": had_key,
    }
    if as_json:
        print_json(facts)
        return
    print_facts([(name.replace("_", " "), str(value)) for name, value in facts.items()])


def _model_facts(model: ModelInfo) -> dict[str, Any]:
    return {**asdict(model), "input_dtype": model.input_dtype.name.lower(), "output_dtype": model.output_dtype.name.lower()}


def _read_tensor(path: Path) -> bytes:
    import numpy as np  # noqa: PLC0415

    try:
        return np.load(path, allow_pickle=False).tobytes() if path.suffix == ".npy" else path.read_bytes()
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error


def _write_tensor(path: Path, tensor: npt.NDArray[Any]) -> None:
    import numpy as np  # noqa: PLC0415

    try:
        if path.suffix == ".npy":
            np.save(path, tensor)
        else:
            path.write_bytes(tensor.tobytes())
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
