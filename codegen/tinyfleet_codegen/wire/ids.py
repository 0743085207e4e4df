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
    ERR_DISAGREES = -18  # beside the live model it gave other answers too often
    ERR_UNHEALTHY = -19  # live, it gave the same answer again and again
    ERR_GONE = -20  # it was there, and newer ones have taken its place

    @property
    def c_name(self) -> str:
        """Name of the value in C, for example ``TYF_ERR_ARG``."""
        return f"TYF_{self.name}"


class SmpGroup(IntEnum):
    """SMP group ids in use; 64 and up are application-defined in SMP."""

    OS = 0
    IMAGE = 1
    STAT = 2
    SETTINGS = 3
    FS = 8
    ENUM = 10
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
    SAMPLING = 7
    MODELS = 8
    MODEL_UPLOAD = 9
    MODEL_TEST = 10
    MODEL_CONFIRM = 11
    MODEL_REVERT = 12
    MODEL_ERASE = 13
    WINDOW = 14


class OsError(IntEnum):
    """Errors of SMP group 0 that we give; the protocol's numbers, as in the groups below."""

    INVALID_FORMAT = 2
    QUERY_YIELDS_NO_ANSWER = 3
    RTC_NOT_SET = 4


class ImageError(IntEnum):
    """Errors of SMP group 1 that we give."""

    UNKNOWN = 1
    INVALID_TLV = 5  # made for another board
    NO_FREE_SLOT = 9  # the program runs without a bootloader
    FLASH_WRITE_FAILED = 12
    FLASH_ERASE_FAILED = 13
    INVALID_SLOT = 14  # no such slot or image number
    INVALID_LENGTH = 21  # the first chunk says no length
    INVALID_IMAGE_HEADER = 22  # the first chunk is smaller than an image header
    INVALID_IMAGE_HEADER_MAGIC = 23  # not an image
    INVALID_HASH = 24  # no image with that hash, or the file has another hash than its upload said
    INVALID_FLASH_ADDRESS = 25  # linked for the other slot: send the other file
    CURRENT_VERSION_IS_NEWER = 27  # also: a security counter that is too low
    IMAGE_ALREADY_PENDING = 28  # the other slot waits for its test, or what runs is on trial: reset, erase or confirm first
    INVALID_IMAGE_TOO_LARGE = 30
    INVALID_IMAGE_DATA_OVERRUN = 31  # more data than the upload's length
    IMAGE_CONFIRMATION_DENIED = 32  # not signed by a key that counts, or it has not run yet
    IMAGE_SETTING_TEST_TO_ACTIVE_DENIED = 33


class StatError(IntEnum):
    """Errors of SMP group 2 that we give."""

    INVALID_GROUP = 2


class SettingsError(IntEnum):
    """Errors of SMP group 3 that we give."""

    UNKNOWN = 1
    KEY_TOO_LONG = 2
    KEY_NOT_FOUND = 3
    WRITE_NOT_SUPPORTED = 6
    DELETE_NOT_SUPPORTED = 7


class FsError(IntEnum):
    """Errors of SMP group 8 that we give."""

    FILE_NOT_FOUND = 3
    FILE_OFFSET_LARGER_THAN_FILE = 12
    CHECKSUM_HASH_NOT_FOUND = 13


class EnumError(IntEnum):
    """Errors of SMP group 10 that we give."""

    INDEX_TOO_LARGE = 4


class ModelPlace(IntEnum):
    """Where a model lies on a device."""

    BUILT_IN = 0
    SLOT_0 = 1
    SLOT_1 = 2


class ModelPhase(IntEnum):
    """How far a package in a slot is; see ``docs/spec/models.md``."""

    EMPTY = 0
    RECEIVING = 1
    STORED = 2  # all of it is there; nothing is known of it
    CHECKING = 3  # its hash is being computed
    PROVING = 4  # golden vectors
    SHADOWING = 5  # beside the live model
    READY = 6  # proved; waits to be confirmed
    LIVE = 7
    PREVIOUS = 8  # live again after a revert
    REFUSED = 9  # its status says why


class DType(IntEnum):
    """Element types; the numbers are those of the .tflite schema's TensorType."""

    FLOAT32 = 0
    INT32 = 2
    UINT8 = 3
    INT64 = 4
    BOOL = 6
    INT16 = 7
    INT8 = 9
