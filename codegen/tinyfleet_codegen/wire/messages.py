"""Every SMP message of a board: the single source of what C decodes, Python sends and the documents say.

To add one, declare it in the tuple of its group and run::

    python -m tinyfleet_codegen.wire.print_messages --write .

which prints ``tyf/smp/messages.h`` and ``messages.c``, ``tinyfleet/smp/requests.py``, ``docs/spec/smp.cddl`` and the tables in
``docs/spec/wire.md``. Then name ``TYF_MESSAGE_<NAME>`` with its handler in a table of commands.
"""

from __future__ import annotations

from tinyfleet_codegen.wire.ids import Command, SmpGroup
from tinyfleet_codegen.wire.schema import (
    U64_MAX,
    Field,
    Kind,
    Message,
    Op,
    data,
    digest,
    exactly,
    flag,
    listed,
    record,
    table,
    text,
    uint,
)
from tinyfleet_codegen.wire.session import HELLO_BYTES, MAC_BYTES, PSK_BYTES, SessionCommand
from tinyfleet_codegen.wire.settings import MAX_VALUE_BYTES

NAME_BYTES = 32
"""Most bytes of the name of a group of statistics."""

_TASK = ("prio", "tid", "state", "stkuse", "stksiz", "cswcnt", "runtime", "last_checkin", "next_checkin")


def _counter(key: str) -> Field:
    return Field(key, Kind.UINT, 0, U64_MAX)


OS = (
    Message("echo", SmpGroup.OS, 0, Op.EITHER, "The text comes back.", request=(text("d"),), reply=(text("r"),), needs_session=False),
    Message(
        "task_statistics",
        SmpGroup.OS,
        2,
        Op.READ,
        "What runs; stack in 4-byte words, runtime in milliseconds.",
        reply=(table("tasks", record("task", *(uint(name) for name in _TASK))),),
    ),
    Message(
        "memory_pools",
        SmpGroup.OS,
        3,
        Op.READ,
        "Buffers by name: bytes of a block, blocks, free blocks, fewest that were ever free.",
        reply=(record("pool", *(uint(name) for name in ("blksiz", "nblks", "nfree", "min"))),),
        is_table=True,
    ),
    Message(
        "datetime_read",
        SmpGroup.OS,
        4,
        Op.READ,
        "UTC as it was set, gone on since; error RTC_NOT_SET before.",
        reply=(text("datetime", 19, 32),),
    ),
    Message(
        "datetime_write",
        SmpGroup.OS,
        4,
        Op.WRITE,
        "Set it: `YYYY-MM-DDThh:mm:ss`, what follows is not read. It is forgotten at a reset.",
        request=(text("datetime", 19, 64),),
    ),
    Message(
        "reset",
        SmpGroup.OS,
        5,
        Op.WRITE,
        "Start over, after the reply.",
        request=(uint("force", 0, 1).maybe(), uint("boot_mode", 0, 255).maybe()),
    ),
    Message(
        "params",
        SmpGroup.OS,
        6,
        Op.READ,
        "Largest decoded frame (message + 4 bytes), and frames that may be under way at once.",
        reply=(uint("buf_size", 64, 65536), uint("buf_count", 1, 255)),
        needs_session=False,
    ),
    Message(
        "application_info",
        SmpGroup.OS,
        7,
        Op.READ,
        "What the firmware calls itself.",
        request=(text("format").maybe(),),
        reply=(text("output"),),
    ),
    Message(
        "bootloader_info",
        SmpGroup.OS,
        8,
        Op.READ,
        "Without a query the bootloader's name; query `mode`: 5 is direct-XIP with revert. Without a bootloader both yield no answer.",
        request=(text("query", 0, 32).maybe(),),
        reply=(text("bootloader").maybe(), uint("mode").maybe(), flag("no-downgrade").maybe()),
    ),
)

_IMAGES = listed(
    "images",
    record(
        "image",
        uint("image"),
        uint("slot", 0, 1),
        text("version"),
        exactly("hash", 32),
        *(flag(name) for name in ("bootable", "pending", "confirmed", "active", "permanent")),
    ),
)

IMAGE = (
    Message(
        "image_state", SmpGroup.IMAGE, 0, Op.READ, "The firmware images that the slots hold; hash is the SHA-256 TLV.", reply=(_IMAGES,)
    ),
    Message(
        "image_state_write",
        SmpGroup.IMAGE,
        0,
        Op.WRITE,
        "Let the image with this hash be tested at the next boot, or with `confirm` be kept; `confirm` without a hash "
        "keeps the running one.",
        request=(data("hash", 1, 64).maybe(), flag("confirm").maybe()),
        reply=(_IMAGES,),
    ),
    Message(
        "image_upload",
        SmpGroup.IMAGE,
        1,
        Op.WRITE,
        "A chunk of an image for the other slot. The first says `len` and `sha` (SHA-256 of the file); with those of "
        "an upload that broke off "
        "it goes on, with those of what the slot holds it is done. `off` is what the board wants next; a chunk at "
        "another offset changes nothing.",
        request=(
            uint("image").maybe(),
            uint("len").maybe(),
            uint("off"),
            exactly("sha", 32).maybe(),
            data("data"),
            flag("upgrade").maybe(),
        ),
        reply=(uint("off"), flag("match").maybe()),
    ),
    Message(
        "image_erase",
        SmpGroup.IMAGE,
        5,
        Op.WRITE,
        "Erase the slot that does not run, also when it waits for its test.",
        request=(uint("slot").maybe(is_max_when_absent=True),),
    ),
    Message(
        "image_slots",
        SmpGroup.IMAGE,
        6,
        Op.READ,
        "Sizes of the slots, and which one an upload goes to.",
        reply=(
            listed(
                "images",
                record(
                    "image",
                    uint("image"),
                    listed("slots", record("slot", uint("slot"), uint("size"), uint("upload_image_id").maybe())),
                    uint("max_image_size"),
                ),
            ),
        ),
    ),
)

STAT = (
    Message(
        "stat_read",
        SmpGroup.STAT,
        0,
        Op.READ,
        "The counters of a group.",
        request=(text("name", 1, NAME_BYTES),),
        reply=(text("name"), table("fields", _counter("field"))),
    ),
    Message("stat_list", SmpGroup.STAT, 1, Op.READ, "The groups of counters.", reply=(listed("stat_list", text("name")),)),
)

SETTINGS = (
    Message(
        "setting_read",
        SmpGroup.SETTINGS,
        0,
        Op.READ,
        "A setting's value; one longer than `max_size` is cut, and `max_size` in the reply says so.",
        request=(text("name", 1, 255), uint("max_size").maybe()),
        reply=(data("val", 0, MAX_VALUE_BYTES), uint("max_size").maybe()),
    ),
    Message(
        "setting_write",
        SmpGroup.SETTINGS,
        0,
        Op.WRITE,
        "Set it; durable when the reply comes.",
        request=(text("name", 1, 255), data("val", 0, MAX_VALUE_BYTES)),
    ),
    Message("setting_delete", SmpGroup.SETTINGS, 1, Op.WRITE, "Remove it.", request=(text("name", 1, 255),)),
    Message("settings_commit", SmpGroup.SETTINGS, 2, Op.WRITE, "Nothing to do: a write takes effect at once."),
    Message("settings_load", SmpGroup.SETTINGS, 3, Op.READ, "Nothing to do: a read is always of what is stored."),
    Message("settings_save", SmpGroup.SETTINGS, 3, Op.WRITE, "Nothing to do: a write is durable when its reply comes."),
)

FS = (
    Message(
        "file_read",
        SmpGroup.FS,
        0,
        Op.READ,
        "A piece of a file from `off`; the first comes with the file's length.",
        request=(text("name", 1, 255), uint("off")),
        reply=(uint("off"), data("data"), uint("len").maybe()),
        needs_session=True,
    ),
    Message("file_status", SmpGroup.FS, 1, Op.READ, "Its length.", request=(text("name", 1, 255),), reply=(uint("len"),)),
    Message(
        "file_hash",
        SmpGroup.FS,
        2,
        Op.READ,
        "Checksum (`crc32`, the default) or hash (`sha256`) of a file, from `off`, of at most `len` bytes (0: all).",
        request=(text("name", 1, 255), text("type", 1, 16).maybe(), uint("off").maybe(), uint("len").maybe()),
        reply=(text("type"), uint("off").maybe(), uint("len"), digest("output")),
        needs_session=True,
    ),
    Message(
        "file_hash_types",
        SmpGroup.FS,
        3,
        Op.READ,
        "The kinds of `file_hash`; format 0 is a number, 1 is bytes.",
        reply=(table("types", record("type", uint("format", 0, 1), uint("size"))),),
    ),
    Message("file_close", SmpGroup.FS, 4, Op.WRITE, "Nothing to do."),
)

ENUM = (
    Message("group_count", SmpGroup.ENUM, 0, Op.READ, "How many groups there are.", reply=(uint("count"),)),
    Message("group_list", SmpGroup.ENUM, 1, Op.READ, "Their numbers.", reply=(listed("groups", uint("group")),)),
    Message(
        "group_single",
        SmpGroup.ENUM,
        2,
        Op.READ,
        "The group at an index (0 when absent); `end` with the last.",
        request=(uint("index").maybe(),),
        reply=(uint("group"), flag("end").maybe()),
    ),
    Message(
        "group_details",
        SmpGroup.ENUM,
        3,
        Op.READ,
        "Names and numbers of handlers; always of all groups.",
        request=(listed("groups", uint("group")).maybe(),),
        reply=(listed("groups", record("group", uint("group"), text("name"), uint("handlers"))),),
    ),
)

_SLOT = (
    uint("phase"),
    uint("status"),
    uint("generation"),
    *(uint(name) for name in ("received", "checked", "proved", "shadowed", "agreed", "fault_pc")),
    data("digest").maybe(),
    data("model_id").maybe(),
    text("name").maybe(),
)

MODELS = (
    Message(
        "models",
        SmpGroup.TINYFLEET,
        Command.MODELS,
        Op.READ,
        "The places of models (0 built-in, 1 and 2 the slots): which is live, with its generation, and which a revert makes "
        "live; how often the board reverted by itself since its start; what it offers a package: bytes of an arena and of a "
        "slot, kernel ABI, with `kernels` also the ids, u32 each. Of each slot a `ModelPhase`, why it was refused (a status), "
        "and how far it is: bytes received and hashed, golden vectors passed, inferences beside the live model and how many "
        "agreed; the digest once it is checked.",
        request=(flag("kernels").maybe(),),
        reply=(
            *(uint(name) for name in ("live", "generation", "previous", "reverts", "arena_bytes", "slot_bytes", "kernel_abi")),
            record("slot_0", *_SLOT),
            record("slot_1", *_SLOT),
            data("kernels").maybe(),
        ),
    ),
    Message(
        "model_upload",
        SmpGroup.TINYFLEET,
        Command.MODEL_UPLOAD,
        Op.WRITE,
        "A piece of a package, or of a delta, for the slot that is not live. The first says `len` and `sha` (SHA-256 of the "
        "file); with those of the transfer before it goes on where that ended. `off` is what the board wants next; a piece at "
        "another offset changes nothing, and before a transfer has begun 0. It goes on after a restart too, a package within "
        "`TYF_CFG_TRANSFER_MARK_BYTES` of where it was, a delta at 0. `copying`: a delta has to copy first; ask again with no data.",
        request=(uint("off"), data("data"), uint("len").maybe(), exactly("sha", 32).maybe()),
        reply=(uint("off"), flag("copying").maybe()),
    ),
    Message(
        "model_test",
        SmpGroup.TINYFLEET,
        Command.MODEL_TEST,
        Op.WRITE,
        "Begin to prove what was uploaded; `models` shows how far it is. `shadow`: live inferences to watch, of which `agree` "
        "must agree: with the same largest element, or no element further away than `difference`. `budget_ms`: for one "
        "inference. Once live: `late` answers that take longer than `deadline_us`, or `stuck` equal answers in a row, give the "
        "place back. `skip_shadow`: go on where watching is not possible. `confirm`: take the place without being told.",
        request=(
            *(uint(name).maybe() for name in ("shadow", "agree", "difference")),
            uint("budget_ms", 0, 60000).maybe(),
            *(uint(name).maybe() for name in ("deadline_us", "late", "stuck")),
            flag("skip_shadow").maybe(),
            flag("confirm").maybe(),
        ),
    ),
    Message(
        "model_confirm",
        SmpGroup.TINYFLEET,
        Command.MODEL_CONFIRM,
        Op.WRITE,
        "Make the package live that was proved; with `digest` only that one. Durable when the reply comes.",
        request=(exactly("digest", 32).maybe(),),
        reply=(uint("generation"),),
    ),
    Message(
        "model_revert",
        SmpGroup.TINYFLEET,
        Command.MODEL_REVERT,
        Op.WRITE,
        "Make the model live that was before.",
        reply=(uint("generation"),),
    ),
    Message("model_erase", SmpGroup.TINYFLEET, Command.MODEL_ERASE, Op.WRITE, "Forget what is in the slot that is not live."),
)

_SAMPLING = (flag("running"), uint("answers"), uint("late"), uint("max_gap_us"))
_WINDOW = ("channels", "window_samples", "hop_samples")

TINYFLEET = (
    Message(
        "hello",
        SmpGroup.TINYFLEET,
        Command.HELLO,
        Op.READ,
        "Who the device is and what it speaks.",
        reply=(
            uint("proto_min"),
            uint("proto_max"),
            data("device_id"),
            uint("boot_id"),
            text("board"),
            text("app"),
            _counter("uptime_us"),
        ),
        needs_session=False,
    ),
    Message(
        "model_info",
        SmpGroup.TINYFLEET,
        Command.MODEL_INFO,
        Op.READ,
        "The model that it runs; the last three are 0 without a front end.",
        reply=(
            data("model_id"),
            uint("generation"),
            text("name"),
            *(uint(name) for name in ("arena_bytes", "input_bytes", "output_bytes", "input_dtype", "output_dtype", "layers")),
            *(uint(name) for name in _WINDOW),
        ),
    ),
    Message(
        "infer",
        SmpGroup.TINYFLEET,
        Command.INFER,
        Op.WRITE,
        "A chunk of an input tensor; off 0 starts a new one, `reset` lets a streaming model forget earlier ones. The reply's `off` is the "
        "bytes held; a chunk at another off changes nothing. The chunk that completes the input runs the model: `out_bytes` comes with it.",
        request=(uint("off"), data("data"), flag("reset").maybe()),
        reply=(uint("off"), uint("out_bytes").maybe()),
    ),
    Message(
        "output",
        SmpGroup.TINYFLEET,
        Command.INFER,
        Op.READ,
        "The last output from byte `off`; `len` is the size of the whole.",
        request=(uint("off"),),
        reply=(uint("off"), uint("len"), data("data")),
        needs_session=True,
    ),
    Message(
        "self_infer",
        SmpGroup.TINYFLEET,
        Command.SELF_INFER,
        Op.WRITE,
        "Run `count` (1 when absent) inputs that the device makes from a seed, from case `first` on; a streaming model "
        "starts from a reset unless "
        "`keep`. `hashes` has 8 bytes a case (`wire/seeded.py`), fewer than asked when they do not fit or take too "
        "long, at least 1. With `layers`: "
        "8 bytes and in `instructions` a u32 a layer of the one case, starting at layer `from`; 0 where the board cannot count them.",
        request=(
            uint("seed"),
            uint("first"),
            uint("count").maybe(),
            flag("keep").maybe(),
            flag("layers").maybe(),
            uint("from").called("first_layer").maybe(),
        ),
        reply=(uint("from").called("first_layer").maybe(), data("hashes"), data("instructions").maybe()),
    ),
    Message(
        "results",
        SmpGroup.TINYFLEET,
        Command.RESULTS,
        Op.READ,
        "Telemetry records with seq >= `since`, oldest first, at most `max` and at most one frame.",
        request=(uint("since"), uint("max")),
        reply=(uint("boot_id"), data("device_id"), data("records"), uint("next"), uint("lost")),
        needs_session=True,
    ),
    Message(
        "replay",
        SmpGroup.TINYFLEET,
        Command.REPLAY,
        Op.WRITE,
        "Samples as if a sensor had measured them: int16, channels interleaved; `off` counts samples; a new stream "
        "number with off 0 starts a new "
        "window. The reply: samples taken so far and the next seq. A chunk at another off changes nothing.",
        request=(uint("stream"), uint("off"), data("data")),
        reply=(uint("stream"), uint("off"), uint("seq")),
    ),
    Message(
        "stats",
        SmpGroup.TINYFLEET,
        Command.STATS,
        Op.READ,
        "Counters since boot; `fault_*` and `resets` since power-on.",
        reply=tuple(
            uint(name)
            for name in (
                "inferences",
                "records",
                "ring_overwrites",
                "last_instructions",
                "max_instructions",
                "stack_bytes",
                "stack_used",
                "bad_frames",
                "fault_pc",
                "fault_lr",
                "fault_cfsr",
                "resets",
            )
        ),
    ),
    Message(
        "sampling",
        SmpGroup.TINYFLEET,
        Command.SAMPLING,
        Op.WRITE,
        "Let the board's own sensor measure every `period_ms` (0: stop), `count` times (0 or absent: without end). It measures the inputs "
        "of `seed` (`wire/seeded.py`), case 0, 1, ...; answers are records of stream 0, `sample_index` is the case. Meanwhile `infer` and "
        "`output` are refused with ERR_STATE, and for a streaming model `replay` and `self_infer` too.",
        request=(uint("period_ms", 0, 60000), uint("seed").maybe(), uint("count").maybe()),
        reply=_SAMPLING,
    ),
    Message(
        "sampling_state",
        SmpGroup.TINYFLEET,
        Command.SAMPLING,
        Op.READ,
        "Answers so far, those that were due and left out, and the longest time between two answers.",
        reply=_SAMPLING,
    ),
    Message(
        "window",
        SmpGroup.TINYFLEET,
        Command.WINDOW,
        Op.READ,
        "A piece from byte `off` of what the answer of a record was made from, `len` bytes of `dtype`: of a model with a front end the "
        "samples that it was given, else the input tensor. `channels`: values of one sample, interleaved; 0: not known. `state`: the model "
        "remembers inputs, so that this one alone does not give the record. ERR_GONE: newer ones have taken its place, or the board has "
        "restarted since; ERR_ARG: there was no such record, or `off` is beyond the end; 8: no windows are kept here.",
        request=(uint("boot_id"), uint("seq"), uint("off")),
        reply=(uint("off"), data("data"), uint("len"), uint("dtype"), uint("channels"), flag("state").maybe()),
        needs_session=True,
    ),
)

SESSION = (
    Message(
        "session_open",
        SmpGroup.SESSION,
        SessionCommand.OPEN,
        Op.WRITE,
        "Open a session (security.md). It counts from its first record on.",
        request=(exactly("m", HELLO_BYTES),),
        reply=(exactly("m", HELLO_BYTES),),
        needs_session=False,
    ),
    Message(
        "session_record",
        SmpGroup.SESSION,
        SessionCommand.RECORD,
        Op.WRITE,
        "`d` is a whole message, sealed; the reply's `d` is the whole reply to it, sealed.",
        request=(uint("n"), data("d", 8 + MAC_BYTES)),
        reply=(data("d"), uint("n")),
        needs_session=False,
    ),
    Message(
        "session_close",
        SmpGroup.SESSION,
        SessionCommand.CLOSE,
        Op.WRITE,
        "End the session that the request came in.",
    ),
    Message(
        "session_status",
        SmpGroup.SESSION,
        SessionCommand.STATUS,
        Op.READ,
        "Whether the device has a key, whether it asks for sessions on every link, whether this request came in one.",
        reply=(flag("provisioned"), flag("locked"), flag("session")),
        needs_session=False,
    ),
    Message(
        "session_provision",
        SmpGroup.SESSION,
        SessionCommand.PROVISION,
        Op.WRITE,
        "Take a new key for sessions, durably, and end the session that is open; with `lock` ask for sessions on every link from now on.",
        request=(exactly("psk", PSK_BYTES), flag("lock").maybe()),
    ),
)

MESSAGES: tuple[Message, ...] = OS + IMAGE + STAT + SETTINGS + FS + ENUM + TINYFLEET + MODELS + SESSION
"""All of them, in the order of the documents."""


def message(group: int, command: int, op: int) -> Message | None:
    """The declaration of what a header with these numbers means; ``op`` is 0 (read) or 2 (write)."""
    for candidate in MESSAGES:
        if (candidate.group, candidate.command) == (group, command) and candidate.op.value in (op, Op.EITHER.value):
            return candidate
    return None
