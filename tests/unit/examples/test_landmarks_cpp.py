"""The C++ example, compiled, and run against doubles of TensorRT and CUDA.

What is shown: it compiles, against NVIDIA's own headers too where they are installed; the sidecar,
the checksums, the signature, the crop and the way back to the frame are right; each call may fail.
What is not: that TensorRT and a GPU do what the doubles do.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.geometry import crops_from_frame, frame_from_crop, placement_from_boxes
from facealign.runtime import open_session
from facealign.runtime.tensorrt.plan import Plan, sidecar_path, write_plan
from facealign.spec import CropSpec, SquareRule, contract_input, contract_outputs
from tests.unit.runtime.tensorrt.made_plans import KEY, made_plan

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "examples" / "embed" / "landmarks.cpp"
DOUBLES = ROOT / "tests" / "doubles" / "nvinfer"
FLAGS = ("-std=c++17", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-D_GLIBCXX_ASSERTIONS")
REAL_CUDA = Path("/usr/local/cuda/include")
REAL_TENSORRT = (
    Path(os.environ.get("TENSORRT_ROOT", "/usr")) / "include",
    Path("/usr/include/aarch64-linux-gnu"),
    Path("/usr/include/x86_64-linux-gnu"),
)
BOX = "30.4,20.7,60.2,70.5"
CLOSE_PX = 1e-3  # printed with four digits; float32 of a frame of 160 px; max measured 5.3e-5
TINY = CropSpec(16, SquareRule(1.15, "integer"), SquareRule(1.2, "exact"))
EXACT = SquareRule(1.6, "exact")
RULES = {
    "integer": TINY,
    "exact": CropSpec(64, EXACT, EXACT),
    "nearest": CropSpec(64, EXACT, EXACT, interpolation="nearest"),
    "grey_border": CropSpec(32, SquareRule(3.0, "integer"), EXACT, border_value=127),
}
# The middles of some pixels of the nearest crop of "tie" lie on whole numbers of the frame.
BOXES = {"in": BOX, "ul": "-20,-9.5,80,60", "lr": "100,80,90,70", "tie": "33,20,48,48"}
FAILURES = {
    "createInferRuntime": "TensorRT does not start",
    "deserializeCudaEngine": "this TensorRT cannot read the plan, which TensorRT 10.3.0 built",
    "createExecutionContext": "TensorRT cannot make a context",
    "setInputShape": "the plan takes no batch of 1",
    "setTensorAddress": "cannot bind `image`",
    "enqueueV3": "TensorRT cannot run the plan",
    "cudaStreamCreateWithFlags": "cudaStreamCreateWithFlags: out of memory",
    "cudaMalloc": "cudaMalloc: out of memory",
    "cudaMemcpyAsync up": "cudaMemcpyAsync to the device: out of memory",
    "cudaMemcpyAsync down": "cudaMemcpyAsync to the host: out of memory",
    "cudaStreamSynchronize": "cudaStreamSynchronize: out of memory",
}
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def _compiler() -> str:
    found = shutil.which("g++") or shutil.which("clang++")
    if found is None:
        pytest.skip("there is no C++ compiler")
    return found


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return landmarks.cpp, linked with the doubles."""
    built = tmp_path_factory.mktemp("cpp") / "landmarks"
    includes = (f"-I{DOUBLES}", f"-I{DOUBLES / 'cuda'}")
    sources = (str(SOURCE), str(DOUBLES / "doubles.cpp"))
    command = [_compiler(), *FLAGS, *includes, *sources, "-o", str(built)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return built


@pytest.fixture
def run(program: Path, tmp_path: Path, frame: NDArray[np.uint8]) -> Run:
    """Return what runs the program on `frame`; its working folder is `tmp_path`."""
    height, width = frame.shape[:2]
    pixels = frame[..., ::-1].tobytes()
    (tmp_path / "frame.ppm").write_bytes(f"P6\n{width} {height}\n255\n".encode() + pixels)

    def run_program(
        *arguments: str, fail: str = "", box: str = BOX
    ) -> subprocess.CompletedProcess[str]:
        environment = {
            "NVINFER_DOUBLE_ANSWER": "answer.bin",
            "NVINFER_DOUBLE_INPUT": "input.bin",
            "NVINFER_DOUBLE_FAIL": fail,
        }
        command = [str(program), "x.plan", "frame.ppm", box, *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    return run_program


def _plan(crop: CropSpec = TINY, *, landmarks: str = "landmarks 2 0 B 98 2") -> Plan:
    """Return a plan of the double, and the record that `facealign build` would write for it."""
    size = crop.size_px
    data = f"double\nimage 1 5 B {size} {size} 3\n{landmarks}\n".encode()
    record = dataclasses.replace(
        made_plan().record,
        inputs=(contract_input(size),),
        outputs=contract_outputs(98),
        crop=crop,
        plan_sha256=hashlib.sha256(data).hexdigest(),
        plan_bytes=len(data),
    )
    return Plan(record, data)


def _prepare(folder: Path, plan: Plan, *, key: bytes | None = None) -> NDArray[np.float32]:
    """Write a plan and a canned answer; return the answer, ``(98, 2)``."""
    write_plan(folder / "x.plan", plan, key=key)
    answer = np.random.default_rng(20).uniform(0, 1, (98, 2)).astype("<f4")
    (folder / "answer.bin").write_bytes(answer.tobytes())
    return answer


def _printed(done: subprocess.CompletedProcess[str]) -> NDArray[np.float64]:
    assert (done.returncode, done.stderr) == (0, "")
    return np.array([[float(word) for word in line.split()] for line in done.stdout.splitlines()])


def _boxes(text: str = BOX) -> NDArray[np.float64]:
    x, y, width, height = map(float, text.split(","))
    return np.array([[x, y, x + width, y + height]])


def test_program_prints_what_a_session_gives(
    run: Run, tmp_path: Path, frame: NDArray[np.uint8], tiny_bundle: Path
) -> None:
    _prepare(tmp_path, _plan())
    with open_session(tiny_bundle) as session:
        crops = crops_from_frame(frame, placement_from_boxes(_boxes(), TINY.from_box), TINY)
        answer = session.run_crops(crops)["landmarks"][0]
        expected = session.run(frame, _boxes()).xy[0]
    (tmp_path / "answer.bin").write_bytes(answer.astype("<f4").tobytes())

    found = _printed(run())

    assert np.abs(found - expected).max() < CLOSE_PX


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
@pytest.mark.parametrize("name", RULES)
def test_program_cuts_the_crop_of_the_rule(
    run: Run, tmp_path: Path, frame: NDArray[np.uint8], name: str, box: str
) -> None:
    crop = RULES[name]
    answer = _prepare(tmp_path, _plan(crop))
    placement = placement_from_boxes(_boxes(box), crop.from_box)

    found = _printed(run(box=box))

    expected = crops_from_frame(frame, placement, crop)[0]
    pixels = np.fromfile(tmp_path / "input.bin", np.uint8).reshape(expected.shape)
    most = 0 if crop.interpolation == "nearest" else 1  # grey levels; 1 measured, OpenCV 5.0
    assert np.abs(pixels.astype(int) - expected).max() <= most
    assert np.abs(found - frame_from_crop(answer[None], placement)[0]).max() < CLOSE_PX


@pytest.mark.parametrize(
    ("file", "words"),
    [("x.plan", "the plan was changed"), ("x.plan.json", "the sidecar was changed")],
    ids=["plan", "sidecar"],
)
@pytest.mark.parametrize("place", [0.01, 0.5, 0.99])
def test_program_refuses_a_changed_byte(
    run: Run, tmp_path: Path, file: str, words: str, place: float
) -> None:
    _prepare(tmp_path, _plan())
    data = bytearray((tmp_path / file).read_bytes())
    data[int(place * len(data))] ^= 1
    (tmp_path / file).write_bytes(data)

    done = run()

    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
    assert not (tmp_path / "input.bin").exists()


@pytest.mark.parametrize("file", ["x.plan", "x.plan.json"])
def test_program_refuses_a_plan_or_a_sidecar_alone(run: Run, tmp_path: Path, file: str) -> None:
    _prepare(tmp_path, _plan())
    (tmp_path / file).unlink()

    done = run()

    assert done.stderr == f"error: cannot open `{file}`\n"


@pytest.mark.parametrize("length", [0, 20, 90])
def test_program_refuses_a_sidecar_that_breaks_off(run: Run, tmp_path: Path, length: int) -> None:
    _prepare(tmp_path, _plan())
    path = tmp_path / "x.plan.json"
    path.write_bytes(path.read_bytes()[:length])

    assert run().stderr == "error: the sidecar was changed; run `facealign build` again\n"


def test_program_says_that_a_file_cannot_be_read(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.plan.json").mkdir()

    assert run().stderr == "error: cannot read `x.plan.json`\n"


def test_program_refuses_a_plan_that_is_longer_than_its_sidecar_says(
    run: Run, tmp_path: Path
) -> None:
    _prepare(tmp_path, _plan())
    with (tmp_path / "x.plan").open("ab") as file:
        file.write(b"\n")

    assert "the plan was changed" in run().stderr


@pytest.mark.parametrize("rest", [0, 1, 55, 56, 63], ids=lambda rest: f"{rest}_mod_64")
def test_program_computes_sha256_of_any_length(run: Run, tmp_path: Path, rest: int) -> None:
    length = len(_plan().data)
    padding = "#" * ((rest - length - 2) % 64 + 1)
    plan = _plan(landmarks=f"landmarks 2 0 B 98 2\n{padding}")
    _prepare(tmp_path, plan)

    done = run()

    assert len(plan.data) % 64 == rest
    assert done.returncode == 0  # so its SHA-256 is that of Python


def test_program_runs_a_signed_plan_with_its_key(run: Run, tmp_path: Path) -> None:
    _prepare(tmp_path, _plan(), key=KEY)
    (tmp_path / "plan.key").write_bytes(KEY)

    assert run("plan.key").returncode == 0


@pytest.mark.parametrize(
    ("signed_with", "key", "words"),
    [
        (KEY, None, "the plan is signed; pass the file of its key"),
        (None, KEY, "the plan is not signed with this key"),
        (KEY, KEY[::-1], "the plan is not signed with this key"),
        (KEY, b"short", "is no key of 16 bytes or more"),
        (None, b"", "is no key of 16 bytes or more"),
    ],
    ids=["no_key", "unsigned", "other_key", "short_key", "empty_key"],
)
def test_program_refuses_where_key_and_signature_differ(
    run: Run, tmp_path: Path, signed_with: bytes | None, key: bytes | None, words: str
) -> None:
    _prepare(tmp_path, _plan(), key=signed_with)
    (tmp_path / "plan.key").write_bytes(key or b"")

    done = run(*(() if key is None else ("plan.key",)))

    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr


@pytest.mark.parametrize(
    "landmarks",
    ["landmarks 2 1 B 98 2", "landmarks 2 0 B 68 2", "landmarks 1 0 B 98 2", "points 2 0 B 98 2"],
    ids=["half", "fewer", "input", "name"],
)
def test_program_refuses_a_plan_that_breaks_its_contract(
    run: Run, tmp_path: Path, landmarks: str
) -> None:
    _prepare(tmp_path, _plan(landmarks=landmarks))

    done = run()

    assert done.stderr == "error: the plan's `landmarks` is not what its sidecar promises\n"


@pytest.mark.parametrize(
    "beside",
    [
        ' "record": {forged},\n  "record": {signed}\n}}\n',
        ' "record": {forged}, "x": {{\n  "record": {signed}\n}}}}\n',
    ],
    ids=["twice", "nested"],
)
def test_program_believes_no_record_but_the_signed_one(
    run: Run, tmp_path: Path, beside: str
) -> None:
    path = tmp_path / "x.plan.json"
    (tmp_path / "plan.key").write_bytes(KEY)
    _prepare(tmp_path, _plan(), key=KEY)
    hmac, _, signed = path.read_text().partition(",\n")[2].partition('  "record": ')
    _prepare(tmp_path, _plan(landmarks="landmarks 2 0 B 98 2\n# forged"))
    forged = path.read_text().partition('  "record": ')[2]
    records = {"signed": signed.removesuffix("\n}\n"), "forged": forged.removesuffix("\n}\n")}

    _write_sidecar(path, hmac + beside.format(**records))
    done = run("plan.key")

    assert (done.returncode, done.stdout) == (1, "")
    assert not (tmp_path / "input.bin").exists()


def _write_sidecar(path: Path, rest: str) -> None:
    """Write a sidecar whose checksum is right."""
    checksum = hashlib.sha256(f"{{\n{rest}".encode()).hexdigest()
    path.write_text(f'{{\n  "checksum": "{checksum}",\n{rest}')


HOSTILE: dict[str, tuple[str, str, str]] = {
    "another_crop": ('"size_px": 16', '"size_px": 17', "does not take crops"),
    "no_pixels": ('"size_px": 16', '"size_px": 0', "a number that cannot be"),
    "endless": ('"size_px": 16', '"size_px": 1e999', "the sidecar is no JSON"),
    "hexadecimal": ('"size_px": 16', '"size_px": 0x10', "the sidecar is no JSON"),
    "fraction": ('"border_value": 0', '"border_value": 0.5', "a number that cannot be"),
    "grey": ('"border_value": 0', '"border_value": 256', "a number that cannot be"),
    "free_axis": ('"B",\n          98', '"B",\n          -1', "a number that cannot be"),
    "no_batch": ('"B",\n          98', "1,\n          98", "`landmarks` has no batch axis"),
    "other_output": ('"name": "landmarks"', '"name": "edges"', "does not take crops"),
    "floats": ('"dtype": "uint8"', '"dtype": "float32"', "does not take crops"),
    "version": ('"version": 1', '"version": 2', "the sidecar is of another facealign"),
    "another_version": ('"version": 1', '"version": true', "a number that cannot be"),
    "another_centre": ('"centre": "integer"', '"centre": "middle"', "a crop rule of another"),
    "another_filter": ('"bilinear"', '"cubic"', "a crop rule of another"),
    "no_rule": ('"from_box"', '"from_nothing"', "the sidecar has no `from_box`"),
    "no_text": ('"scheme": "wflw98"', '"scheme": "wflw98', "the sidecar is no JSON"),
    "deep": ('"scheme": "wflw98"', f'"scheme": {"[" * 99}{"]" * 99}', "the sidecar is no JSON"),
    "bare_word": ('"scheme": "wflw98"', '"scheme": wflw98', "the sidecar is no JSON"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_program_refuses_a_sidecar_that_is_whole_and_hostile(
    run: Run, tmp_path: Path, name: str
) -> None:
    old, new, words = HOSTILE[name]
    _prepare(tmp_path, _plan())
    path = tmp_path / "x.plan.json"
    rest = path.read_text().partition(",\n")[2]
    assert old in rest

    _write_sidecar(path, rest.replace(old, new, 1))
    done = run()

    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr


@pytest.mark.parametrize("call", FAILURES)
def test_program_says_which_call_failed_and_frees_everything(
    run: Run, tmp_path: Path, call: str
) -> None:
    _prepare(tmp_path, _plan())

    done = run(fail=call)

    assert (done.returncode, done.stdout) == (1, "")
    assert "double:" not in done.stderr  # which tells of leaks, and of what is freed too early
    assert done.stderr.splitlines()[-1].startswith(f"error: {FAILURES[call]}")


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ("1,2,3", "is not X,Y,W,H"),
        ("1,2,3,4,5", "is not X,Y,W,H"),
        ("1,2,0,0", "the box has no area"),
        ("nan,2,9,9", "the box has no area"),
        ("1e9,2,9,9", "is far outside"),
    ],
)
def test_program_refuses_a_box_that_cannot_be(
    run: Run, tmp_path: Path, box: str, words: str
) -> None:
    _prepare(tmp_path, _plan())

    assert words in run(box=box).stderr


@pytest.mark.parametrize(
    "data", [b"", b"P6", b"P5\n2 2\n255\n1234", b"P6\n2 2\n255\n12", b"P6\n-2 2\n255\n"]
)
def test_program_refuses_what_is_no_ppm(run: Run, tmp_path: Path, data: bytes) -> None:
    _prepare(tmp_path, _plan())
    (tmp_path / "frame.ppm").write_bytes(data)

    assert "is no binary PPM of 8 bits" in run().stderr


def test_sidecar_is_where_the_program_looks() -> None:
    assert sidecar_path(Path("x.plan")) == Path("x.plan.json")


def test_program_builds_with_cmake(tmp_path: Path) -> None:
    root = _installed_doubles(tmp_path / "root")
    build = tmp_path / "build"
    roots = (
        f"-DTENSORRT_ROOT={root}",
        f"-DCUDA_ROOT={root}",
        f"-DCMAKE_CXX_COMPILER={_compiler()}",
    )

    _cmake("-S", str(SOURCE.parent), "-B", str(build), *roots)
    _cmake("--build", str(build))

    usage = subprocess.run([build / "landmarks"], capture_output=True, text=True, check=False)
    assert (usage.returncode, usage.stderr.split()[0]) == (2, "usage:")


def _cmake(*arguments: str) -> None:
    cmake = shutil.which("cmake")
    if cmake is None:
        pytest.skip("there is no cmake")
    done = subprocess.run([cmake, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _installed_doubles(root: Path) -> Path:
    """Return a folder that looks like an installation of TensorRT and CUDA, full of doubles."""
    (root / "lib").mkdir(parents=True)
    shutil.copytree(DOUBLES, root / "include")
    shutil.copy(DOUBLES / "cuda" / "cuda_runtime_api.h", root / "include")
    (root / "empty.cpp").touch()
    sources = {"nvinfer": root / "include" / "doubles.cpp", "cudart": root / "empty.cpp"}
    for name, source in sources.items():
        library = str(root / "lib" / f"lib{name}.so")
        command = [_compiler(), "-shared", "-fPIC", f"-I{root / 'include'}", str(source)]
        subprocess.run([*command, "-o", library], check=True)
    return root


def _syntax(*includes: str) -> subprocess.CompletedProcess[str]:
    command = [_compiler(), *FLAGS, "-fsyntax-only", *includes, str(SOURCE)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.skipif(not REAL_CUDA.is_dir(), reason="CUDA's own headers are not installed")
def test_program_compiles_with_cudas_own_headers() -> None:
    done = _syntax(f"-I{DOUBLES}", f"-isystem{REAL_CUDA}")

    assert done.returncode == 0, done.stderr


def test_program_compiles_with_tensorrts_own_headers() -> None:
    found = [folder for folder in REAL_TENSORRT if (folder / "NvInfer.h").is_file()]
    if not found or not REAL_CUDA.is_dir():
        pytest.skip("TensorRT's own headers are not installed; `TENSORRT_ROOT` says where they are")

    done = _syntax(f"-isystem{found[0]}", f"-isystem{REAL_CUDA}")

    assert done.returncode == 0, done.stderr
