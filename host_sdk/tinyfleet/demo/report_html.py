"""``report.html``: the run for people, one file without anything from elsewhere."""

from __future__ import annotations

import importlib.resources
from html import escape

from tinyfleet.demo.plots import arena_plot, confusion_plot, timeline_plot
from tinyfleet.demo.report import DemoReport
from tinyfleet.demo.timeline import Timeline
from tinyfleet.quantize import RecipeModel
from tinyfleet_codegen.compiled import CompiledModel


def render_report(report: DemoReport, model: RecipeModel, compiled: CompiledModel, timeline: Timeline) -> str:
    """The page's text."""
    f = report.figures
    style = importlib.resources.files("tinyfleet").joinpath("page.css").read_text(encoding="utf-8")
    tiles = [
        (f"{f.float_accuracy:.1%}", f"float accuracy, {f.host_checked} windows of unseen people"),
        (f"{f.int8_accuracy:.1%}", "int8 accuracy on the same"),
        (f"{f.device_accuracy:.1%}", f"on the board, {f.device_checked} windows of one of them"),
        (f"{f.flash_bytes / 1024:.1f} KiB", "flash, whole firmware"),
        (f"{f.ram_bytes / 1024:.1f} KiB", "RAM, stack and rings included"),
        (f"{f.instructions_per_inference / 1e6:.2f} M", "instructions per inference (counted by the emulator)"),
        (f"{f.records_produced}", "records made by the board"),
        (f"{f.lost} / {f.duplicates}", "lost / duplicated in the cloud"),
    ]
    body = [
        f"<h1>tinyfleet demo: {escape(report.recipe)} on {escape(report.board)}</h1>",
        f"<p>model <code>{report.model_id[:16]}</code>, device <code>{report.device_id}</code>,"
        f" {escape(report.link)} link, {escape(report.sink)} sink, seed {report.seed}</p>",
        _verdict(report),
        '<div class="tiles">' + "".join(f'<div class="tile"><b>{escape(v)}</b><span>{escape(n)}</span></div>' for v, n in tiles) + "</div>",
        _section("Proofs", "Equality means every output byte.", _proofs(report)),
        _section(
            "Outbox of the gateway",
            "Records that wait for the cloud. The cloud was frozen before each kill, so that records were sure to be under way.",
            timeline_plot(timeline.depths, timeline.events),
        ),
        _section(
            "Who is taken for what",
            f"The int8 model on {f.host_checked} windows of people whom training never saw; rows are what they did.",
            confusion_plot(model.confusion, model.package.labels),
        ),
        _section(
            "Arena",
            f"All activations in {compiled.arena_bytes} bytes (no plan can need less than {compiled.arena_lower_bound_bytes});"
            " memory upwards, layers to the right; grey is what one layer borrows.",
            arena_plot(compiled),
        ),
        _section("Layers", "Signal to noise of int8 against float, over calibration data.", _layers(model, compiled)),
        _section("Steps", "", _table(["step", "seconds"], [[name, f"{seconds:.1f}"] for name, seconds in report.steps])),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>tinyfleet demo</title><style>{style}</style></head><body><main>{''.join(body)}</main></body></html>\n"
    )


def _verdict(report: DemoReport) -> str:
    if not report.failures:
        return f'<p class="verdict good">Every check passed, in {report.figures.seconds:.0f} s.</p>'
    lines = "".join(f"<li>{escape(failure)}</li>" for failure in report.failures)
    return f'<div class="verdict bad">{len(report.failures)} checks failed<ul>{lines}</ul></div>'


def _proofs(report: DemoReport) -> str:
    f = report.figures
    rows = [
        ["C on the host = oracle", f"{f.host_checked} windows", _yes(f.host_equal)],
        ["board = C on the host", f"{f.device_checked} windows", _yes(f.device_equal)],
        ["every record in the cloud, once", f"{f.records_in_cloud} of {f.records_produced}", _yes(f.lost == f.duplicates == 0)],
        ["records queued when the cloud was killed", str(f.outbox_depth_at_cloud_kill), _yes(f.outbox_depth_at_cloud_kill > 0)],
        ["records undelivered when the gateway was killed", str(f.undelivered_at_gateway_kill), _yes(f.undelivered_at_gateway_kill > 0)],
    ]
    return _table(["proof", "checked", ""], rows) + f"<p>oracle: {escape(report.oracle)}</p>"


def _layers(model: RecipeModel, compiled: CompiledModel) -> str:
    noise = {layer.name: layer.signal_to_noise_db for layer in model.layers}
    rows = []
    for layer in compiled.layers:
        value = noise.get(layer.output_name)
        shape = " x ".join(map(str, layer.output_shape[1:]))
        rows.append([layer.op, shape, f"{layer.macs:,}", f"{layer.constant_bytes:,}", "" if value is None else f"{value:.1f} dB"])
    return _table(["op", "output", "MACs", "constants, bytes", "signal to noise"], rows)


def _yes(holds: bool) -> str:
    return "yes" if holds else "NO"


def _table(head: list[str], rows: list[list[str]]) -> str:
    def line(tag: str, cells: list[str]) -> str:
        return "<tr>" + "".join(f"<{tag}{' class=n' if i else ''}>{escape(cell)}</{tag}>" for i, cell in enumerate(cells)) + "</tr>"

    return f"<table>{line('th', head)}{''.join(line('td', row) for row in rows)}</table>"


def _section(title: str, text: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2><p>{escape(text)}</p>{content}</section>"
