"""The exceptions of tinyfleet, in the lowest package so that every layer may raise them.

::

    TinyfleetError
    |-- UsageError            the caller asked for something that cannot be (CLI exit code 2)
    |-- ConfigError           a configuration file or environment is wrong
    |-- SetupError            a tool or package that this machine lacks
    |-- LinkError             the byte pipe failed
    |   |-- LinkTimeout       no answer within the deadline; trying again can help
    |   `-- LinkClosed        the other end is gone
    |       `-- LinkLost      but may still be in reach: a new connection can be made
    |-- ProtocolError         bytes arrived that the protocol does not allow
    |-- DeviceError           the device answered with a status (``status`` holds its C name)
    |-- AccessError           a session that the device or this host does not accept
    |   `-- SessionLost       the device knows it no more: it restarted; a new one can be opened
    |       `-- RecordLost    what was asked or answered in it was damaged on its way
    |-- CompileError          a model cannot become firmware
    |   |-- FormatError       the .tflite bytes are malformed, truncated or hostile
    |   |-- UnsupportedOp     an operator, type or option that we do not compile
    |   |-- ShapeError        shapes that do not fit together
    |   |-- QuantError        quantization parameters that do not fit together
    |   `-- DoesNotFit        the board is too small
    |-- BuildError            the compiler or PlatformIO failed
    |-- ImageError            a firmware or model image is not acceptable
    |-- StoreError            a database or file cannot be used
    |   |-- StoreFull         the disk is full or does not take writes; what was committed is there
    |   `-- StoreDamaged      the file does not hold what was written to it
    `-- SinkError             delivery failed (``retryable`` says whether to try again)
"""

from __future__ import annotations


class TinyfleetError(Exception):
    """Root of all errors a user may see.

    Args:
        message: What went wrong, with the values that matter.
        hint: The next step for the user, or None.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(TinyfleetError):
    """The request itself makes no sense."""


class ConfigError(TinyfleetError):
    """A configuration file or environment variable holds a wrong value."""


class SetupError(TinyfleetError):
    """A tool or an optional package is missing on this machine."""


class LinkError(TinyfleetError):
    """A link to a device failed."""


class LinkTimeout(LinkError):
    """No answer within the deadline; trying again can help."""


class LinkClosed(LinkError):
    """The other end closed the link; open it again."""


class LinkLost(LinkClosed):
    """A connection over the air is gone; a new one can be made, and what was under way was done or not."""


class ProtocolError(TinyfleetError):
    """The peer sent something the protocol does not allow."""


class DeviceError(TinyfleetError):
    """The device refused a request.

    Args:
        message: What was asked, of which device.
        status: Name of the device's status, for example ``TYF_ERR_ARG``.
    """

    def __init__(self, message: str, *, status: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class AccessError(TinyfleetError):
    """A session cannot be opened or went bad: another key, or somebody in between."""


class SessionLost(AccessError):
    """The device does not know the session any more: it restarted, or got another key. A new session can be opened."""


class RecordLost(SessionLost):
    """A request or its answer was damaged on its way, by chance or by somebody; a new session can be opened."""


class CompileError(TinyfleetError):
    """A model cannot be compiled."""


class FormatError(CompileError):
    """The bytes of a model file are malformed."""


class UnsupportedOp(CompileError):
    """An operator, a type or an option outside what tinyfleet compiles."""


class ShapeError(CompileError):
    """Tensor shapes that do not fit together."""


class QuantError(CompileError):
    """Quantization parameters that do not fit together."""


class DoesNotFit(CompileError):
    """The board has too little flash or RAM for the model."""


class BuildError(TinyfleetError):
    """A compiler or PlatformIO reported an error."""


class ImageError(TinyfleetError):
    """A firmware or model image is not acceptable."""


class StoreError(TinyfleetError):
    """A database or file on disk cannot be used."""


class StoreFull(StoreError):
    """The disk is full or does not take writes; what was committed before is there."""


class StoreDamaged(StoreError):
    """The file does not hold what was written to it."""


class SinkError(TinyfleetError):
    """Delivery to a sink failed.

    Args:
        message: What was attempted, on what.
        retryable: Whether the same delivery may succeed later.
    """

    def __init__(self, message: str, *, retryable: bool, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retryable = retryable
