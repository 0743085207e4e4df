"""From a model package to C: reader -> passes -> plan -> printer, in one pure function."""

from __future__ import annotations

import logging
from pathlib import Path

from tinyfleet_codegen.abi.table import print_kernel_table
from tinyfleet_codegen.compiled import CompiledModel, Layer
from tinyfleet_codegen.emit.blob import print_blob, print_blob_c
from tinyfleet_codegen.emit.c import print_c
from tinyfleet_codegen.emit.report import print_report
from tinyfleet_codegen.errors import ConfigError, UsageError
from tinyfleet_codegen.firmware_tree import HOST_CLASS
from tinyfleet_codegen.fitting import check_fits
from tinyfleet_codegen.fused_add import FusedAddAttrs
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.passes import run_passes
from tinyfleet_codegen.passes.fuse_adds import fuse_adds
from tinyfleet_codegen.passes.stream_rows import stream_rows
from tinyfleet_codegen.plan import plan_arena, plan_memories
from tinyfleet_codegen.stream import StreamAttrs
from tinyfleet_codegen.target import Target, load_target
from tinyfleet_codegen.tflite.reader import read_tflite

log = logging.getLogger(__name__)


def compile_graph(
    package: ModelPackage, target: Target | None, *, arena_budget_bytes: int | None = None, in_one_memory: bool = False
) -> CompiledModel:
    """Compile without writing files; ``target`` None means the host, which has no limits.

    Args:
        arena_budget_bytes: A larger arena is made smaller by computing layers together, some rows at a time, which costs a few
            instructions and hides the tensors between them. None: only when the board has not enough RAM.
        in_one_memory: On a board of several memories the arena lies in one of them, as a blob's must.

    Raises:
        CompileError: the model is malformed, not supported or does not fit.
    """
    graph = run_passes(read_tflite(package.tflite, package.name))
    rooms = [] if target is None else [memory.free_bytes for memory in target.memories]
    budgets = [arena_budget_bytes, None if target is None else max(rooms) if in_one_memory else sum(rooms)]
    budget = min((b for b in budgets if b is not None), default=None)
    cpu_class = HOST_CLASS if target is None else target.cpu_class
    fused = fuse_adds(graph, cpu_class)
    if budget is not None and plan_arena(fused, cpu_class).arena_bytes > budget:
        fused = fuse_adds(stream_rows(graph, cpu_class, budget), cpu_class)
    return compile_rewritten(package, fused, target, in_one_memory=in_one_memory)


def compile_rewritten(package: ModelPackage, graph: Graph, target: Target | None, *, in_one_memory: bool = False) -> CompiledModel:
    """Compile a graph on which all passes have run; see :func:`compile_graph`."""
    cpu_class = HOST_CLASS if target is None else target.cpu_class
    if target is None:
        plan = plan_arena(graph, cpu_class)
    else:
        plan = plan_memories(graph, cpu_class, [memory.free_bytes for memory in target.memories], is_whole=in_one_memory)
    source = print_c(graph, plan, package, cpu_class)
    layers = tuple(
        Layer(
            op_index=node.index,
            op=node.op.name,
            kernel=printed.kernel,
            output_name=graph.output_tensor(node).name,
            output_shape=graph.output_tensor(node).shape,
            macs=node.op.macs(graph, node),
            weights_bytes=printed.weights_bytes,
            tables_bytes=printed.tables_bytes,
            streamed=_together(node),
        )
        for node, printed in zip(graph.nodes, source.layers, strict=True)
    )
    memories = () if target is None or not target.more_memories else target.memories
    model = CompiledModel(package, "host" if target is None else target.board, cpu_class, graph, plan, source, layers, memories)
    if target is not None:
        check_fits(model, target)
    return model


def _together(node: Node) -> tuple[int, ...]:
    """Places of the layers that one node computes together; empty when it is one."""
    match node.attrs:
        case StreamAttrs(nodes=nodes):
            return tuple(n.index for n in nodes)
        case FusedAddAttrs(conv=conv, add=add):
            return (conv.index, add.index)
        case _:
            return ()


def compile_model(
    package: ModelPackage,
    board: str,
    output_dir: Path,
    *,
    blob: bool = False,
    arena_budget_bytes: int | None = None,
    swap_arena_bytes: int = 0,
) -> CompiledModel:
    """Compile for a board and write ``model.c``, ``model.h`` and ``report.json``; equal files are left untouched.

    Args:
        board: Id of a manifest, or ``host`` for the board in memory.
        arena_budget_bytes: See :func:`compile_graph`.
        blob: Write ``model.tfm`` as well, and a ``model.c`` that carries and opens it.
        swap_arena_bytes: Let the program take other models at run time whose arena has at most so many bytes: it gets every kernel of
            its CPU class (``kernel_table.c``) and two arenas (``model_config.h``). 0: it has this model for good.

    Raises:
        UsageError: there is no such board.
        CompileError: the model is malformed, not supported or does not fit.
        ConfigError: the output folder cannot be written.
    """
    target = None if board == HOST_CLASS else load_target(board)
    if swap_arena_bytes and target is not None and not target.model_slot_bytes:
        raise UsageError(f"{board} has no slots for models that are loaded at run time", hint="compile without --swap-arena")
    in_one_memory = blob or swap_arena_bytes > 0
    model = compile_graph(package, target, arena_budget_bytes=arena_budget_bytes, in_one_memory=in_one_memory)
    files = {"model.c": model.source.model_c, "model.h": model.source.model_h, "report.json": print_report(model)}
    if blob:
        files["model.c"] = print_blob_c(model.graph, model.plan, package, model.cpu_class, has_table=not swap_arena_bytes)
    swap = _swap_files(model.cpu_class, swap_arena_bytes) if swap_arena_bytes else {}
    write_files(output_dir, files | swap)
    for name in SWAP_FILES - swap.keys():
        (output_dir / name).unlink(missing_ok=True)  # of an earlier compilation into the same folder
    if blob:
        _write_bytes(output_dir / "model.tfm", print_blob(model.graph, model.plan, package, model.cpu_class))
    log.info("compiled model=%s board=%s arena=%d weights=%d", model.name, board, model.arena_bytes, model.weights_bytes)
    return model


SWAP_FILES = frozenset({"kernel_table.c", "model_config.h"})
"""What a folder holds besides when its program can take other models."""


def takes_models(folder: Path) -> bool:
    """Whether the program of a generated model's folder can take other models at run time."""
    return (folder / "kernel_table.c").is_file()


def _swap_files(cpu_class: str, arena_bytes: int) -> dict[str, str]:
    config = f"/* Generated by tinyfleet compile --swap-arena. Do not edit. */\n#define TYF_CFG_MODEL_ARENA_BYTES {arena_bytes}\n"
    return {"kernel_table.c": print_kernel_table(cpu_class), "model_config.h": config}


def _write_bytes(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}", hint="choose another output folder") from error


def write_files(folder: Path, files: dict[str, str]) -> None:
    """Write text files whose content changed, so that builds see only real changes.

    Raises:
        ConfigError: the folder or a file cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            path = folder / name
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {error.filename or folder}: {error.strerror}", hint="choose another output folder") from error
