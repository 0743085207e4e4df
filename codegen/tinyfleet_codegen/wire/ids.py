"""Numbers shared by firmware and host. Values are wire-stable: append, never renumber."""

from __future__ import annotations

from enum import IntEnum

PROTOCOL_MIN = 1
"""Oldest version of the group 64 messages that this code speaks."""
PROTOCOL_MAX = 1
"""Newest version of the group 64 messages that this code speaks."""


class Status(IntEnum):
    """``tyf_status``: the result of every C call that can fail; on the wire as its magnitude."""

    OK = 0
    ERR_ARG = -1  # argument outside its documented range
    ERR_FORMAT = -2  # bytes from outside are malformed or truncated
    ERR_VERSION = -3  # well-formed, but of a version this build cannot read
    ERR_ARENA = -4  # arena smaller than the model asks for
    ERR_STATE = -5  # not possible now, for example output asked before an input was given
    ERR_NO_IDENTITY = -6  # the board has no device identity in its NVM
    ERR_NO_FRONTEND = -7  # the model is fed with tensors, not with sensor samples
    ERR_TOO_LARGE = -8  # the answer does not fit into one frame
    ERR_FLASH = -9  # the flash did not take what it was given
    ERR_SIGNATURE = -10  # not signed by a key that this program trusts, or other bytes than were signed
    ERR_TARGET = -11  # for another board, another slot, or another kind of program
    ERR_ROLLBACK = -12  # older than what was confirmed before
    ERR_GOLDEN = -13  # the device computes other bytes than the package promises
    ERR_FAULT = -14  # the code faulted and was unwound
    ERR_OVERRUN = -15  # the code took longer than its budget and was unwound
    ERR_ACCESS = -16  # the policy asks for a session
    ERR_BASE = -17  # a delta of other bytes than the device holds

    @property
    def c_name(self) -> str:
        """Name of the value in C, for example ``TYF_ERR_ARG``."""
        return f"TYF_{self.name}"


class SmpGroup(IntEnum):
    """SMP group ids in use; 64 and up are application-defined in SMP."""

    OS = 0
    TINYFLEET = 64
    SESSION = 65


class Command(IntEnum):
    """Commands of SMP group 64."""

    HELLO = 0
    MODEL_INFO = 1
    INFER = 2
    SELF_INFER = 3
    RESULTS = 4
    REPLAY = 5
    STATS = 6


class DType(IntEnum):
    """Element types; the numbers are those of the .tflite schema's TensorType."""

    FLOAT32 = 0
    INT32 = 2
    UINT8 = 3
    INT64 = 4
    BOOL = 6
    INT16 = 7
    INT8 = 9
