"""The build, run by PlatformIO inside SCons: one program from the libraries, one board's drivers, one app and one model.

Project options:
    custom_firmware_dir  folder with lib/, arch/, boards/; default: the folder that holds this platform
    custom_model_dir     folder with the generated model.c and model.h; absent for an app without a model
    custom_crypto_dir    folder with monocypher.c and monocypher.h; absent for an app that verifies nothing
    custom_keys_dir      folder with tyf_keys.h; absent: no key is trusted
    custom_stack_bytes, custom_handler_stack_bytes  when not the manifest's
    custom_libraries     names of the folders in lib/ that the app needs; default: all
    custom_app_name      what the firmware calls itself

Environment:
    TINYFLEET_IMAGE_AREA  area of the flash map to link the program into, a slot's behind an image header; default: the manifest's
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from SCons.Script import AlwaysBuild, Builder, Default, DefaultEnvironment

env = DefaultEnvironment()
PLATFORM_DIR = Path(env.PioPlatform().get_dir()).resolve()
sys.path.insert(0, str(PLATFORM_DIR / "builder"))

import board as board_facts  # noqa: E402

FIRMWARE_DIR = Path(env.GetProjectOption("custom_firmware_dir", str(PLATFORM_DIR.parents[1]))).resolve()
OPTIONAL_DIRS = [env.GetProjectOption(f"custom_{name}_dir", "") for name in ("model", "crypto", "keys")]
MODEL_DIR, CRYPTO_DIR, KEYS_DIR = (Path(folder).resolve() if folder else None for folder in OPTIONAL_DIRS)
LIBRARIES = env.GetProjectOption("custom_libraries", "").split()
APP = env.GetProjectOption("custom_app_name", "sensor")

WARNINGS = [
    *("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wmissing-prototypes", "-Wundef"),
    "-Werror",
]
DIALECT = ["-std=c11", "-ffp-contract=off", "-fno-common"]


def fail(message):
    sys.stderr.write(f"error: {message}\n")
    env.Exit(1)


def find_gcc():
    """The Arm compiler: in the set-up's tool folder, else on PATH."""
    tools = os.environ.get("TINYFLEET_TOOLS", "")
    path = os.pathsep.join([*([f"{tools}/usr/bin"] if tools else []), os.environ.get("PATH", "")])
    gcc = shutil.which("arm-none-eabi-gcc", path=path)
    return gcc or fail("arm-none-eabi-gcc is not installed; apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi")


def knows(gcc, flag):
    """Whether this compiler accepts a flag."""
    return subprocess.run([gcc, flag, "-E", "-x", "c", os.devnull], capture_output=True, check=False).returncode == 0


def source_folders(facts):
    """Every folder whose C files become part of the program, as (name in the build folder, folder)."""
    libraries = [folder for folder in sorted((FIRMWARE_DIR / "lib").iterdir()) if (folder / "src").is_dir()]
    if LIBRARIES:
        libraries = [folder for folder in libraries if folder.name in LIBRARIES]
    if CRYPTO_DIR is None:
        libraries = [folder for folder in libraries if folder.name != "crypto"]
    return [
        *((f"lib_{library.name}", library / "src") for library in libraries),
        ("arch", FIRMWARE_DIR / "arch" / "cortex_m"),
        *((f"board_{folder.replace('/', '_')}", FIRMWARE_DIR / "boards" / folder) for folder in board_facts.source_folders(facts)),
        *([("model", MODEL_DIR)] if MODEL_DIR else []),
        *([("crypto_source", CRYPTO_DIR)] if CRYPTO_DIR else []),
    ]


manifest = env.BoardConfig()
facts = manifest.get("tinyfleet")
for stack in ("stack_bytes", "handler_stack_bytes"):
    facts[stack] = int(env.GetProjectOption(f"custom_{stack}", facts[stack]))
LINKER_SYMBOLS = board_facts.linker_symbols(facts, os.environ.get("TINYFLEET_IMAGE_AREA"))
build = manifest.get("build")
if MODEL_DIR is not None and not (MODEL_DIR / "model.h").is_file():
    fail(f"no generated model in {MODEL_DIR}; tinyfleet compile M.tflite --board {env['BOARD']} -o {MODEL_DIR}")

gcc = find_gcc()
prefix = gcc.removesuffix("gcc")
cpu = board_facts.cpu_flags(build)
# GCC 12 at -O2 sinks stores out of loops and so repeats volatile ones: a UART byte is sent twice.
# -fwrapv: sums of a hostile blob may overflow, and then they wrap; it costs no instruction.
code = ["-O2", "-fwrapv", "-g", "-ffunction-sections", "-fdata-sections", *filter(lambda flag: knows(gcc, flag), ["-fno-move-loop-stores"])]
# __FILE__ must not depend on where the sources lie, or equal sources give unequal images.
code += [f"-fmacro-prefix-map={folder}{os.sep}=" for folder in (FIRMWARE_DIR, MODEL_DIR, CRYPTO_DIR) if folder]

env.Replace(
    CC=gcc,
    AS=gcc,
    LINK=gcc,
    AR=prefix + "gcc-ar",
    RANLIB=prefix + "gcc-ranlib",
    OBJCOPY=prefix + "objcopy",
    SIZETOOL=prefix + "size",
    ARFLAGS=["rc"],
    PROGNAME="firmware",
    PROGSUFFIX=".elf",
    LDSCRIPT_PATH=str(FIRMWARE_DIR / "arch" / "cortex_m" / "link.ld"),
    SIZEPROGREGEXP=r"^(?:\.text|\.data)\s+(\d+).*",
    SIZEDATAREGEXP=r"^(?:\.data|\.bss|\.stack|\.noinit)\s+(\d+).*",
    SIZECHECKCMD="$SIZETOOL -A -d $SOURCES",
    SIZEPRINTCMD="$SIZETOOL -B -d $SOURCES",
)
env.Append(
    CFLAGS=DIALECT,
    CCFLAGS=[*cpu, *code, *WARNINGS],
    ASFLAGS=cpu,
    ASPPFLAGS=["-x", "assembler-with-cpp"],
    CPPDEFINES=[*board_facts.defines(env["BOARD"], build, facts), ("TYF_APP_NAME", f'\\"{APP}\\"')],
    CPPPATH=[
        *sorted(str(folder) for folder in (FIRMWARE_DIR / "lib").glob("*/include")),
        str(FIRMWARE_DIR / "arch" / "cortex_m"),
        *(str(FIRMWARE_DIR / "boards" / folder) for folder in board_facts.source_folders(facts)),
        *(str(folder) for folder in (MODEL_DIR, CRYPTO_DIR, KEYS_DIR) if folder),
        env.subst("$PROJECT_SRC_DIR"),  # The app may bring app_config.h.
    ],
    LINKFLAGS=[
        *cpu,
        *("--specs=nano.specs", "--specs=nosys.specs", "-nostartfiles"),
        *("-Wl,--gc-sections", "-Wl,--fatal-warnings"),
        "-Wl,-Map=${TARGET.base}.map",
        *(f"-Wl,--defsym={name}={value}" for name, value in LINKER_SYMBOLS),
    ],
    LIBS=["c", "gcc", "m"],
    BUILDERS={"ElfToBin": Builder(action=env.VerboseAction("$OBJCOPY -O binary $SOURCES $TARGET", "Building $TARGET"), suffix=".bin")},
)


def small(env, node):
    """Compile for size where an inference spends next to nothing: what is no kernel, and the kernel of a few values at the end."""
    source = Path(node.srcnode().get_abspath())
    if source.parent == CRYPTO_DIR:
        # Not ours to warn about. BLAKE2b unrolled would be 13 KB larger.
        return env.Object(node, CCFLAGS=[*env["CCFLAGS"], "-Os", "-w"], CPPDEFINES=[*env["CPPDEFINES"], ("BLAKE2_NO_UNROLLING", 1)])
    is_kernel = source.parent == FIRMWARE_DIR / "lib" / "nn" / "src" and source.name != "softmax_s8_ref.c"
    # On ARMv6-M what counts is in assembly; C would be inlined to twice its size, with 64-bit products that this core lacks.
    # So it is in the kernels for Helium, but for pools.
    in_assembly = facts["cpu_class"] == "v6m" or (source.name.endswith("_mve.c") and source.name != "pool2d_s8_mve.c")
    if is_kernel and not in_assembly:
        return node
    return env.Object(node, CCFLAGS=[*env["CCFLAGS"], "-Os"])


env.AddBuildMiddleware(small)
for name, folder in source_folders(facts):
    filters = ["+<*.c>", "+<*.S>", *board_facts.other_class_filters(facts["cpu_class"])]
    env.BuildSources(f"$BUILD_DIR/{name}", str(folder), filters)

elf = env.BuildProgram()
image = env.ElfToBin("$BUILD_DIR/${PROGNAME}", elf)
env.Depends(image, "checkprogsize")
AlwaysBuild(env.Alias("nobuild", image))
env.AddPlatformTarget(
    "size", elf, env.VerboseAction("$SIZEPRINTCMD", "Calculating size $SOURCE"), "Program Size", "Print the program's size"
)
Default([env.Alias("buildprog", image, image)])
