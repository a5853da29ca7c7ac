"""Trees of system files that stand for ``/``: a Jetson of each JetPack, PCs, and broken ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# First lines as devices have them, quoted in public reports; from R36 on three more lines follow.
_OOT = (
    "\n# KERNEL_VARIANT: oot\nTARGET_USERSPACE_LIB_DIR=nvidia\n"
    "TARGET_USERSPACE_LIB_DIR_PATH=usr/lib/aarch64-linux-gnu/nvidia\n"
)
RELEASES = {
    "JetPack 4.6.1": (
        (
            "# R32 (release), REVISION: 7.1, GCID: 29689809, BOARD: t186ref, EABI: aarch64, "
            "DATE: Wed Feb  2 21:33:23 UTC 2022\n"
        ),
        "32.7.1",
    ),
    "JetPack 5.0.1": (
        (
            "# R34 (release), REVISION: 1.1, GCID: 30414990, BOARD: t186ref, EABI: aarch64, "
            "DATE: Tue May 17 04:20:55 UTC 2022\n"
        ),
        "34.1.1",
    ),
    "JetPack 5.1": (
        (
            "# R35 (release), REVISION: 2.1, GCID: 32398013, BOARD: t186ref, EABI: aarch64, "
            "DATE: Sun Jan 22 03:18:23 UTC 2023\n"
        ),
        "35.2.1",
    ),
    "JetPack 5.1.2": (
        (
            "# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref, EABI: aarch64, "
            "DATE: Tue Aug  1 19:57:35 UTC 2023\n"
        ),
        "35.4.1",
    ),
    "JetPack 6.0": (
        "# R36 (release), REVISION: 3.0, GCID: 36923193, BOARD: generic, EABI: aarch64, "
        "DATE: Fri Jul 19 23:24:25 UTC 2024" + _OOT,
        "36.3.0",
    ),
    "JetPack 6.1": (
        "# R36 (release), REVISION: 4.0, GCID: 37537400, BOARD: generic, EABI: aarch64, "
        "DATE: Fri Sep 13 04:36:44 UTC 2024" + _OOT,
        "36.4.0",
    ),
    "JetPack 6.2": (
        "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, "
        "DATE: Wed Jan  8 01:49:37 UTC 2025" + _OOT,
        "36.4.3",
    ),
    "JetPack 6.2.1": (
        "# R36 (release), REVISION: 4.7, GCID: 42132812, BOARD: generic, EABI: aarch64, "
        "DATE: Thu Sep 18 22:54:44 UTC 2025" + _OOT,
        "36.4.7",
    ),
    "JetPack 6.2.2": (
        "# R36 (release), REVISION: 5.0, GCID: 43688277, BOARD: generic, EABI: aarch64, "
        "DATE: Fri Jan 16 03:50:45 UTC 2026" + _OOT,
        "36.5.0",
    ),
    "JetPack 7.0": (
        "# R38 (release), REVISION: 2.0, GCID: 41844464, BOARD: generic, EABI: aarch64, "
        "DATE: Fri Aug 22 00:55:42 UTC 2025" + _OOT + "INSTALL_TYPE=\n",
        "38.2.0",
    ),
    "JetPack 7.1": (
        "# R38 (release), REVISION: 4.0, GCID: 43443517, BOARD: generic, EABI: aarch64, "
        "DATE: Wed Dec 31 00:15:19 UTC 2025" + _OOT,
        "38.4.0",
    ),
    "JetPack 7.2": (
        "# R39 (release), REVISION: 2.0, GCID: 45755727, BOARD: generic, EABI: aarch64, "
        "DATE: Mon Jun  1 09:28:48 PM UTC 2026" + _OOT,
        "39.2.0",
    ),
    "JetPack 7.2.1": (
        "# R39 (release), REVISION: 2.1, GCID: 46758480, BOARD: generic, EABI: aarch64, "
        "DATE: Fri Aug 7 05:54:22 AM UTC 2026" + _OOT,
        "39.2.1",
    ),
}


@dataclass(frozen=True)
class MadeJetson:
    """What the files of a Jetson say."""

    release: str
    board: str
    chip: str
    ubuntu: str
    kernel: str
    python: str
    core: str
    jetpack: str
    nvinfer: str
    cuda: str


_ORIN = "NVIDIA Jetson Orin Nano Developer Kit"
_THOR = "NVIDIA Jetson AGX Thor Developer Kit"
JETSONS = {
    "5.1": MadeJetson(
        *("JetPack 5.1", "NVIDIA Orin Nano Developer Kit", "tegra234", "20.04.6", "5.10.104-tegra"),
        *("3.8", "35.2.1-20230124153320", "5.1-b147", "8.5.2", "11.4.19"),
    ),
    "6.0": MadeJetson(
        *("JetPack 6.0", _ORIN, "tegra234", "22.04.4", "5.15.136-tegra"),
        *("3.10", "36.3.0-20240719161631", "6.0+b106", "8.6.2", "12.2.12"),
    ),
    "6.1": MadeJetson(
        *("JetPack 6.1", _ORIN, "tegra234", "22.04.5", "5.15.148-tegra"),
        *("3.10", "36.4.0-20240912212859", "6.1+b123", "10.3.0", "12.6.11"),
    ),
    "6.2": MadeJetson(
        *("JetPack 6.2", _ORIN, "tegra234", "22.04.5", "5.15.148-tegra"),
        *("3.10", "36.4.3-20250107174145", "6.2+b77", "10.3.0", "12.6.11"),
    ),
    "7.0": MadeJetson(
        *("JetPack 7.0", _THOR, "tegra264", "24.04.3", "6.8.12-tegra"),
        *("3.12", "38.2.0-20250821174705", "7.0-b128", "10.13.3", "13.0.48"),
    ),
    "7.1": MadeJetson(
        *("JetPack 7.1", _THOR, "tegra264", "24.04.3", "6.8.12-tegra"),
        *("3.12", "38.4.0-20251230160601", "7.1-b45", "10.13.3", "13.0.48"),
    ),
    "7.2": MadeJetson(
        *("JetPack 7.2", _ORIN, "tegra234", "24.04.4", "6.8.12-1021-tegra"),
        *("3.12", "39.2.0-20260601141651", "7.2-b49", "10.16.2", "13.2.0"),
    ),
}

_ARM_CPU = """processor\t: 0
BogoMIPS\t: 62.50
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp asimdrdm asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd42
CPU revision\t: 1

processor\t: 1
"""
_X86_CPU = """processor\t: 0
model name\t: Intel(R) Xeon(R) Gold 6430
flags\t\t: fpu sse4_2 f16c avx2 avx512f avx512_vnni avx_vnni amx_bf16 amx_tile amx_int8
"""
_MEMORY = """MemTotal:        7802872 kB
MemFree:          300000 kB
MemAvailable:    6291456 kB
SwapTotal:       3901432 kB
"""
MODES = """
< POWER_MODEL ID=0 NAME=15W >
CPU_ONLINE CORE_0 1
< POWER_MODEL ID=2 NAME=MAXN_SUPER >
"""


def write_files(root: Path, files: dict[str, str | bytes]) -> Path:
    """Write files by path, and return the root."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def write_jetson(root: Path, jetpack: str) -> Path:
    """Write a Jetson of that JetPack."""
    made = JETSONS[jetpack]
    library = "usr/lib/aarch64-linux-gnu"
    minor = made.python.partition(".")[2]
    bindings = f"usr/lib/python{made.python}/dist-packages/tensorrt"
    return write_files(
        root,
        {
            "etc/nv_tegra_release": RELEASES[made.release][0],
            "etc/os-release": f'NAME="Ubuntu"\nPRETTY_NAME="Ubuntu {made.ubuntu} LTS"\n',
            "etc/nvpmodel.conf": MODES,
            "proc/cpuinfo": _ARM_CPU,
            "proc/device-tree/model": f"{made.board}\0",
            "proc/device-tree/compatible": f"nvidia,p3767-0005\0nvidia,{made.chip}\0",
            "proc/meminfo": _MEMORY,
            "proc/sys/kernel/osrelease": f"{made.kernel}\n",
            f"{library}/libnvinfer.so.{made.nvinfer}": "",
            f"{bindings}/tensorrt.cpython-3{minor}-aarch64-linux-gnu.so": "",
            "usr/local/cuda/version.json": f'{{"cuda": {{"version": "{made.cuda}"}}}}',
            "var/lib/dpkg/status": _packages(made),
            "var/lib/nvpmodel/status": "pmode:0002",
        },
    )


def pci_device(address: str, *, vendor: str, kind: str = "0x030000") -> dict[str, str | bytes]:
    """Return the files of a device on the PCI bus, by default of a graphics card."""
    folder = f"sys/bus/pci/devices/0000:{address}"
    return {f"{folder}/vendor": f"{vendor}\n", f"{folder}/class": f"{kind}\n"}


def write_pc(root: Path, *, driver: str = "580.95.05") -> Path:
    """Write a PC with an NVIDIA card, on which CUDA is not installed."""
    version = f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {driver}  Wed Aug 13 2025\n"
    return write_files(
        root,
        {
            "etc/os-release": 'PRETTY_NAME="Ubuntu 24.04.1 LTS"\n',
            "dev/nvidia0": "",
            "proc/cpuinfo": _X86_CPU,
            "proc/driver/nvidia/version": version,
            "proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: \t\t NVIDIA RTX A4000\n",
            "proc/meminfo": _MEMORY,
            **pci_device("00:00.0", vendor="0x8086", kind="0x060000"),
            **pci_device("00:02.0", vendor="0x8086"),
            **pci_device("01:00.0", vendor="0x10de", kind="0x030200"),
            **pci_device("01:00.1", vendor="0x10de", kind="0x040300"),
        },
    )


def write_container(root: Path) -> Path:
    """Write a container on a Jetson: L4T's packages alone, one core of two and 2 GiB allowed."""
    made = JETSONS["6.2"]
    return write_files(
        root,
        {
            ".dockerenv": "",
            "proc/cpuinfo": _ARM_CPU,
            "proc/meminfo": _MEMORY,
            "proc/self/cgroup": "0::/\n",
            "proc/self/status": "Cpus_allowed_list:\t0-1\n",
            "sys/fs/cgroup/cpu.max": "100000 100000\n",
            "sys/fs/cgroup/memory.max": f"{2**31}\n",
            "var/lib/dpkg/status": _packages(made),
        },
    )


def write_garbage(root: Path) -> Path:
    """Write a machine every file of which is random bytes."""
    noise = bytes(range(256)) * 8
    names = (
        *("etc/nv_tegra_release", "etc/os-release", "etc/nvpmodel.conf", "etc/ld.so.conf"),
        *("proc/cpuinfo", "proc/meminfo", "proc/device-tree/model", "proc/self/cgroup"),
        *("proc/driver/nvidia/version", "proc/device-tree/compatible", "proc/self/status"),
        *("sys/bus/pci/devices/0/vendor", "sys/bus/pci/devices/0/class"),
        *("sys/fs/cgroup/cpu.max", "sys/fs/cgroup/memory.max"),
        *("sys/class/thermal/thermal_zone0/temp", "usr/local/cuda/version.json"),
        *("var/lib/dpkg/status", "var/lib/nvpmodel/status"),
    )
    return write_files(root, dict.fromkeys(names, noise))


def _packages(made: MadeJetson) -> str:
    versions = {
        "adduser": "3.118ubuntu5",
        "nvidia-jetpack": made.jetpack,
        "nvidia-l4t-core": made.core,
        f"libnvinfer{made.nvinfer.partition('.')[0]}": f"{made.nvinfer}.30-1+cuda12.5",
    }
    return "".join(
        f"Package: {name}\nStatus: install ok installed\nVersion: {version}\n"
        f"Description: of {name}\n Version: 0 in its description\n\n"
        for name, version in versions.items()
    )
