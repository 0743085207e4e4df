"""What a board manifest means to the compiler and the linker: plain functions, no SCons."""

import uuid
from fractions import Fraction

VENDOR_ID = uuid.uuid5(uuid.NAMESPACE_DNS, "tinyfleet.invalid")
"""Who made a board, as imgtool computes it from the domain; the class, in this namespace, is the board's id."""

CPU_CLASSES = ("v6m", "dsp", "mve")
"""CPU classes that have kernel files of their own; a file ``*_<class>.c`` or ``.S`` is compiled for that class only."""

INCLUDED_CLASS = {"mve": "dsp"}
"""CPU class -> one whose kernels it can run as well: a core with Helium has the DSP extension."""


def cpu_flags(build):
    """Flags that choose the processor and its floating point, for compiler and linker alike."""
    # For ARMv6-M alone gcc takes inline assembly in the old syntax.
    flags = ["-mthumb", "-masm-syntax-unified", f"-mcpu={build['cpu']}", f"-mfloat-abi={build['float_abi']}"]
    return [*flags, f"-mfpu={build['fpu']}"] if "fpu" in build else flags


def other_class_filters(cpu_class):
    """Source filters that leave out the kernels written for other CPU classes."""
    return [f"-<*_{other}.*>" for other in CPU_CLASSES if other not in (cpu_class, INCLUDED_CLASS.get(cpu_class))]


def defines(board_id, build, facts):
    """Macros for C, as ``(name, value)``: the manifest's facts, so that no register address stands in C."""
    nvm = facts["memory"]["nvm"]
    macros = {
        "TYF_BOARD_NAME": _c_string(board_id),
        "TYF_BOARD_VENDOR_ID": _c_bytes(VENDOR_ID),
        "TYF_BOARD_CLASS_ID": _c_bytes(uuid.uuid5(VENDOR_ID, board_id)),
        "TYF_BOARD_CLOCK_HZ": build["f_cpu"].rstrip("L"),
        "TYF_BOARD_TIMER_HZ": facts["timer_hz"],
        "TYF_BOARD_NVM_BASE": nvm["origin"],
        **{f"TYF_BOARD_NVM_{key.upper()}": value for key, value in nvm.items() if key != "origin"},
    }
    # An area in a memory without addresses (a file of the host) is none of the program's.
    for area in facts["flash_map"] if "semihosting" not in facts.get("qemu", {}).get("nvm", "") else []:
        address, size = _area(facts, area["name"])
        macros |= {f"TYF_BOARD_AREA_{area['name'].upper()}_ADDRESS": hex(address), f"TYF_BOARD_AREA_{area['name'].upper()}_BYTES": size}
    for memory, place in (("FLASH", facts["memory"]["flash"]), ("RAM", ram_memories(facts)[0])):
        macros |= {f"TYF_BOARD_MEMORY_{memory}_ORIGIN": place["origin"], f"TYF_BOARD_MEMORY_{memory}_BYTES": place["bytes"]}
    for uart in facts["uarts"]:
        prefix = "TYF_BOARD_" + ("UART" if uart["use"] == "smp" else uart["use"].upper())
        macros |= {f"{prefix}_{key.upper()}": value for key, value in uart.items() if key != "use"}
    per_tick = instructions_per_tick(facts)
    macros["TYF_BOARD_INSTRUCTIONS_NUMERATOR"] = per_tick.numerator
    macros["TYF_BOARD_INSTRUCTIONS_DENOMINATOR"] = per_tick.denominator
    return [*macros.items(), *facts["defines"].items()]


def instructions_per_tick(facts):
    """Instructions that an emulated board executes in one timer tick; 0 where time does not count instructions."""
    if "qemu" not in facts:
        return Fraction(0)
    instruction_ns = 2 ** facts["qemu"]["icount_shift"]
    return Fraction(10**9, facts["timer_hz"] * instruction_ns)


def source_folders(facts):
    """Folders of the board's drivers, below ``firmware/boards``: the manifest names one or several."""
    return [facts["sources"]] if isinstance(facts["sources"], str) else facts["sources"]


IMAGE_HEADER_BYTES = 0x200
"""Of an image in a slot: the header of MCUboot's format, padded so that the vector table is aligned for every core."""


def linker_symbols(facts, image_area=None):
    """``--defsym`` symbols that ``arch/cortex_m/link.ld`` asks for, as ``(name, value)``; ``image_area``: link into that."""
    image = facts["image"]
    if image_area is not None:
        image = {"area": image_area, "header_bytes": IMAGE_HEADER_BYTES if image_area.startswith("slot_") else 0}
    origin, size = _area(facts, image["area"])
    boot_origin, boot_size = _area(facts, image["boot_area"]) if "boot_area" in image else (origin, 0)
    ram, *more = ram_memories(facts)
    # Sections of memories that the board has not stay empty.
    others = [more[i] if i < len(more) else {"origin": ram["origin"], "bytes": 0} for i in range(MORE_MEMORIES)]
    return [
        ("TYF_LD_BOOT_ORIGIN", hex(boot_origin)),
        ("TYF_LD_BOOT_BYTES", hex(boot_size)),
        ("TYF_LD_FLASH_ORIGIN", hex(origin)),
        ("TYF_LD_FLASH_BYTES", hex(size)),
        ("TYF_LD_HEADER_BYTES", hex(image["header_bytes"])),
        ("TYF_LD_RAM_ORIGIN", ram["origin"]),
        ("TYF_LD_RAM_BYTES", hex(ram["bytes"])),
        ("TYF_LD_STACK_BYTES", hex(facts["stack_bytes"])),
        ("TYF_LD_HANDLER_STACK_BYTES", hex(facts["handler_stack_bytes"])),
        *((f"TYF_LD_RAM{i}_ORIGIN", other["origin"]) for i, other in enumerate(others, 1)),
        *((f"TYF_LD_RAM{i}_BYTES", hex(other["bytes"])) for i, other in enumerate(others, 1)),
    ]


MORE_MEMORIES = 2
"""Memories for activations that ``link.ld`` knows beside the first."""


def ram_memories(facts):
    """The memories for variables, fastest first: the manifest has one or a list."""
    ram = facts["memory"]["ram"]
    return ram if isinstance(ram, list) else [ram]


def _area(facts, name):
    """Address and size of an area of the flash map."""
    area = next(area for area in facts["flash_map"] if area["name"] == name)
    return int(facts["memory"][area["memory"]]["origin"], 16) + area["offset"], area["bytes"]


def _c_string(text):
    # SCons hands the define to a shell; the inner quotes must survive it.
    return f'\\"{text}\\"'


def _c_bytes(value):
    return ",".join(f"0x{byte:02x}" for byte in value.bytes)
