"""One emulated board: a QEMU process, its UART and its NVM file."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tinyfleet.board import Board, Emulation, hci_boards, load_board
from tinyfleet.elf import elf_size
from tinyfleet.emulator.debugger import Debugger
from tinyfleet.emulator.nvm import create_nvm, lock_nvm
from tinyfleet.emulator.qmp import Qmp
from tinyfleet.emulator.spawn import spawn_tied
from tinyfleet.toolchain import find_qemu
from tinyfleet_codegen.errors import LinkClosed, LinkTimeout, SetupError, UsageError

_STOP_TIMEOUT_S = 15.0
_SHOWN_OUTPUT_BYTES = 2000
_NO_ESCAPE = ("-echr", "256")
"""No byte is QEMU's escape: else two bytes of a host could end it, and what follows 0x01 would never reach the board."""


class EmulatedBoard:
    """A running emulated board. Make one with :meth:`start`; use it as a context manager, or :meth:`stop` it.

    Guest time follows wall time while the board idles, and one instruction takes the same guest time always
    (``-icount``), so instruction counts repeat exactly. The process dies with ours. Not for several threads at once.

    Attributes:
        url: Device URL of the management UART, ``tcp://127.0.0.1:PORT``; one host at a time.
        pty: Path of the pseudo-terminal that carries the UART instead; then ``url`` is ``serial://`` and that path.
        pid: Process id of QEMU.
        nvm: The NVM file; locked while the board runs.
        device_id: The identity in that file, 16 bytes.
        debugger: Steps the board; None unless it was started halted.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        output: IO[bytes],
        *,
        url: str,
        pty: str | None,
        nvm: Path,
        device_id: bytes,
        debugger: Debugger | None,
    ) -> None:
        self._process = process
        self._output = output
        self.url = url
        self.pty = pty
        self.pid = process.pid
        self.nvm = nvm
        self.device_id = device_id
        self.debugger = debugger

    @classmethod
    def start(
        cls,
        board: str,
        elf: Path,
        nvm: Path,
        *,
        device_id: bytes | None = None,
        pty: bool = False,
        halted: bool = False,
        block_log: Path | None = None,
        air: str | None = None,
        witness: Path | None = None,
        timeout_s: float = 30.0,
    ) -> EmulatedBoard:
        """Boot a firmware; returns when QEMU runs it.

        Args:
            board: Id of a board that can be emulated.
            elf: The firmware.
            nvm: NVM file; made when it is not there.
            device_id: For a new NVM file; None: random.
            pty: Offer the UART as a pseudo-terminal instead of a TCP port.
            halted: Stand at the reset, for ``debugger`` to step it.
            block_log: File for a line about every block of instructions that is executed, some 80 bytes each.
            air: ``HOST:PORT`` of an air (:mod:`tinyfleet.emulator.air`) that the HCI UART is connected to, also again after it was away.
            witness: File that a test build's trace of records (UART2) is appended to; kept over starts and kills.
            timeout_s: Deadline for QEMU's start.

        Raises:
            UsageError: no such board or ELF, or the board exists as hardware only, or has no HCI UART for ``air``.
            ImageError: the file is not an ELF.
            SetupError: QEMU is missing or does not run.
            StoreError: the NVM file is not intact, or another board runs on it.
            LinkTimeout: QEMU did not come up in time.
        """
        facts = load_board(board)
        if facts.emulation is None:
            raise UsageError(f"{board} cannot be emulated", hint="connect one and give its serial:// URL")
        if not elf.is_file():
            raise UsageError(f"no firmware {elf}", hint=f"tinyfleet build --board {board} --model M.tflite -o DIR makes DIR/firmware.elf")
        elf_size(elf)  # QEMU would run any file as raw code.
        found_id = create_nvm(nvm, board, device_id)
        with contextlib.ExitStack() as descriptors, contextlib.ExitStack() as undo:
            lock = lock_nvm(nvm)
            descriptors.callback(os.close, lock)
            control, qemu_control = socket.socketpair()
            descriptors.callback(control.close)
            descriptors.callback(qemu_control.close)
            listener = descriptors.enter_context(socket.create_server(("127.0.0.1", 0)))
            port = int(listener.getsockname()[1])
            line = "pty,id=uart0" if pty else f"socket,id=uart0,fd={listener.fileno()},server=on,wait=off,nodelay=on"
            reads_ahead = _reads_ahead(facts.emulation)
            command = [
                *_machine(facts.emulation, facts.nvm_bytes, nvm),
                *("-chardev", f"{line},mux={'on' if reads_ahead else 'off'}", *_NO_ESCAPE),
                *("-serial", "chardev:uart0", *_hci_uart(facts, air, reads_ahead)),
                *("-chardev", f"socket,id=qmp,fd={qemu_control.fileno()}", "-mon", "chardev=qmp,mode=control"),
                *("-kernel", str(elf.absolute())),
            ]
            if witness is not None:
                command += ["-chardev", f"file,id=witness,path={_escaped(witness)},append=on", "-serial", "chardev:witness"]
            # QEMU inherits the lock's descriptor: the file stays locked exactly as long as the board runs.
            board_fds = [lock, qemu_control.fileno(), *([] if pty else [listener.fileno()])]
            if block_log is not None:
                command += ["-d", "exec,nochain", "-D", str(block_log.absolute())]
            debugger = None
            if halted:
                ours, qemu_debugger = socket.socketpair()
                descriptors.callback(qemu_debugger.close)
                undo.callback(ours.close)
                debugger = Debugger(ours)
                board_fds.append(qemu_debugger.fileno())
                command += ["-S", "-chardev", f"socket,id=gdb,fd={qemu_debugger.fileno()}", "-gdb", "chardev:gdb"]
            qemu = find_qemu()
            output = undo.enter_context(tempfile.TemporaryFile())  # lives as long as the board
            process = spawn_tied([str(qemu.path), *command], env=qemu.env, pass_fds=board_fds, output=output)
            url = f"tcp://127.0.0.1:{port}"
            self = cls(process, output, url=url, pty=None, nvm=nvm, device_id=found_id, debugger=debugger)
            undo.pop_all()
            qemu_control.close()
            self._wait_until_up(Qmp(control, timeout_s), "uart0-base" if reads_ahead else "uart0", pty, timeout_s)
        return self

    def _wait_until_up(self, qmp: Qmp, line: str, pty: bool, timeout_s: float) -> None:
        try:
            qmp.wait_until_up()
            if pty:
                self.pty = qmp.chardev_filename(line).removeprefix("pty:")
                self.url = f"serial://{self.pty}"
        except LinkClosed as error:
            # It ends by itself, or is made to: without its control socket it is of no use.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_TIMEOUT_S)
            exit_code, printed = self._process.poll(), self.output() or "it printed nothing"
            self._discard()
            raise SetupError(f"QEMU did not start (exit code {exit_code}): {printed}") from error
        except LinkTimeout as error:
            self.kill()
            printed = self.output() or "it printed nothing"
            self._discard()
            raise LinkTimeout(f"QEMU did not come up within {timeout_s:g} s: {printed}") from error
        except BaseException:
            self._discard()
            raise

    def _discard(self) -> None:
        self.kill()
        self.stop()  # gives back what it held

    def output(self) -> str:
        """The end of what QEMU itself printed; empty in good times."""
        if self._output.closed:
            return ""
        size = os.fstat(self._output.fileno()).st_size
        tail = os.pread(self._output.fileno(), _SHOWN_OUTPUT_BYTES, max(0, size - _SHOWN_OUTPUT_BYTES))
        return tail.decode(errors="replace").strip()

    def is_running(self) -> bool:
        """Whether the QEMU process is alive."""
        return self._process.poll() is None

    def wait(self, timeout_s: float | None = None) -> int:
        """Wait until QEMU has ended; its exit code, negative for a signal.

        Raises:
            LinkTimeout: it still runs.
        """
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise LinkTimeout(f"QEMU {self.pid} still runs after {timeout_s} s") from error

    def stop(self) -> None:
        """End the board in order; what it made durable stays in the NVM file. Does nothing when it has ended."""
        if self.is_running():
            self._process.terminate()
            try:
                self._process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()
        self._output.close()
        if self.debugger is not None:
            self.debugger.close()

    def kill(self) -> None:
        """SIGKILL: to the board a power cut, to its host a link that closes."""
        if self.is_running():
            self._process.send_signal(signal.SIGKILL)
        self._process.wait(_STOP_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def _hci_uart(board: Board, air: str | None, reads_ahead: bool) -> list[str]:
    """QEMU's arguments for the second UART, which is the one to a Bluetooth controller."""
    if air is None:
        return ["-serial", "null"]
    if not board.has_hci:
        raise UsageError(
            f"{board.board_id} has no UART for a Bluetooth controller", hint=f"boards that have one: {', '.join(hci_boards())}"
        )
    host, _, port = air.rpartition(":")
    if not host or not port.isdecimal():
        raise UsageError(f"an air is HOST:PORT, not {air!r}", hint="tinyfleet air serve prints its address")
    mux = "on" if reads_ahead else "off"
    return ["-chardev", f"socket,id=hci,host={host},port={port},reconnect=1,nodelay=on,mux={mux}", "-serial", "chardev:hci"]


def _reads_ahead(emulation: Emulation) -> bool:
    """Whether QEMU should take bytes for the UART before the board asks for them: 32 of them, the size of its multiplexer's buffer.

    A CMSDK UART holds one byte, and each is a turn of QEMU's main loop with the board asleep; from that buffer the next byte comes
    with the read of the one before. Three times the bytes a second. An nRF UART has room for six by itself, and its first read would not
    ask that buffer, where the CMSDK's does (``mps2/uart.c``).
    """
    return emulation.machine.startswith("mps")


def _machine(emulation: Emulation, nvm_bytes: int, nvm: Path) -> list[str]:
    """QEMU's arguments for the hardware. ``sleep=on``: without it an idle board's clock runs many times too fast."""
    if emulation.nvm == "semihosting":
        memory = ["-machine", emulation.machine, "-semihosting-config", f"enable=on,target=native,arg={_escaped(nvm)}"]
    else:
        memory = [
            *("-machine", f"{emulation.machine},memory-backend=nvm"),
            *("-object", f"memory-backend-file,id=nvm,mem-path={_escaped(nvm)},size={nvm_bytes},share=on"),
        ]
    return [
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *memory,
        *("-icount", f"shift={emulation.icount_shift},align=off,sleep=on"),
    ]


def _escaped(path: Path) -> str:
    """QEMU separates options by commas and reads a doubled one as itself."""
    return str(path.absolute()).replace(",", ",,")
