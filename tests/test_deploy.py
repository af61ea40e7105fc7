"""What people deploy with: it must stay true to the sources and pass its own linters."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.config import env_example, load_settings
from bot.settings.sources import FIELDS
from deploy.setup import builds, install
from tests.lacking import skip_for_lack

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
UNIT = (DEPLOY / "parley.service").read_text(encoding="utf-8")
MAX_EXPOSURE = 2.0  # of 10, by systemd's own measure; it was 1.2 when this was written


def tool(name: str) -> str:
    """A program of this virtual environment or the machine."""
    path = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if path is None:
        skip_for_lack(f"{name} is not installed.")
    return path


def run(*command: str, cwd: Path = ROOT, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def stages() -> list[str]:
    return re.findall(r"^FROM [^\n]*", DOCKERFILE, re.MULTILINE)


# env.example


def test_the_example_names_every_setting_with_its_default_and_meaning() -> None:
    text = (DEPLOY / "env.example").read_text(encoding="utf-8")
    assert text == env_example(), "write it anew: see env_example in bot/config.py"


def test_the_example_with_every_line_switched_on_changes_nothing(tmp_path: Path) -> None:
    lines = re.findall(r"^#([A-Z_]+)=(.*)$", env_example(), re.MULTILINE)
    assert [name for name, _ in lines] == [key.env for key in FIELDS]
    environ = dict(lines)
    del environ["PARLEY_PERSONALITIES"], environ["PARLEY_DATABASE_URL"]  # relative to the folder
    assert load_settings(environ, tmp_path) == load_settings({}, tmp_path)


# The image


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    done = run(tool("hadolint"), str(DEPLOY / "Dockerfile"))
    assert done.returncode == 0, done.stdout


def test_every_image_has_an_exact_tag() -> None:
    images = [line.split()[1] for line in stages()]
    foreign = [image for image in images if "$" not in image]
    assert len(foreign) == 4
    assert all(re.search(r":\d+\.\d+", image) for image in foreign), foreign


def test_the_cpu_and_cuda_variants_have_both_stages() -> None:
    names = {line.rpartition(" AS ")[2] for line in stages()}
    assert {"build-cpu", "run-cpu", "build-cuda", "run-cuda", "build", "run"} == names


def test_what_the_image_copies_exists_and_is_not_ignored() -> None:
    kept = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert f"!{source.strip('/').split('/')[0]}" in kept


def test_the_image_runs_as_nobody_in_particular_and_keeps_data_in_volumes() -> None:
    run_stage = DOCKERFILE[DOCKERFILE.index(" AS run\n") :]
    assert "\nUSER 10001:10001\n" in run_stage
    assert '\nVOLUME ["/data", "/models"]\n' in run_stage
    assert "build-essential" not in run_stage


def test_the_health_check_of_the_image_tells_a_healthy_bot_from_none() -> None:
    command = re.search(r"HEALTHCHECK [^\[]*(\[.*\])", DOCKERFILE)
    assert command
    _, *arguments = json.loads(command[1])
    done = run(sys.executable, *arguments, PARLEY_PORT="9")
    assert done.returncode == 1
    assert "Connection refused" in done.stderr


def test_the_image_starts_from_a_folder_that_holds_only_what_it_copies(tmp_path: Path) -> None:
    for source in re.findall(r"^COPY (\w+)/ ", DOCKERFILE, re.MULTILINE):
        shutil.copytree(ROOT / source, tmp_path / source, dirs_exist_ok=True)
    done = run(sys.executable, "-m", "bot", "run", cwd=tmp_path, PARLEY_HOST="0.0.0.0")
    assert done.returncode == 2
    assert done.stderr.startswith("PARLEY_HOST is 0.0.0.0, which other machines can reach")
    done = run(sys.executable, "-m", "bot", "slack", "manifest", cwd=tmp_path)
    assert yaml.safe_load(done.stdout)["display_information"]["name"] == "Parley"


def test_compose_gives_the_container_nothing_it_does_not_need() -> None:
    compose: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    service = compose["services"]["parley"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    volumes = dict(volume.split(":") for volume in service["volumes"])
    assert compose["volumes"].keys() == volumes.keys()
    assert json.dumps(list(volumes.values())) in DOCKERFILE
    assert (ROOT / service["build"]["dockerfile"]).exists()


def test_compose_sets_only_settings_that_exist(tmp_path: Path) -> None:
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["parley"]
    settings = load_settings({**service["environment"], "PARLEY_API_KEYS": "key"}, tmp_path)
    assert str(settings.data_dir) == "/data"


def test_containers_and_units_wait_longer_than_parley_drains(tmp_path: Path) -> None:
    drain = load_settings({}, tmp_path).drain_seconds
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["parley"]
    assert int(service["stop_grace_period"].removesuffix("s")) > drain
    timeout = re.search(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)
    assert timeout
    assert int(timeout[1]) > drain


# The systemd unit


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with this checkout in the place of /opt/parley, which need not be there."""
    text = UNIT.replace("/opt/parley/.venv/bin/python", sys.executable)
    path = tmp_path / "parley.service"
    path.write_text(text.replace("/opt/parley", str(ROOT)), encoding="utf-8")
    return path


def test_systemd_finds_nothing_wrong_in_the_unit(unit: Path) -> None:
    done = run(tool("systemd-analyze"), "verify", "--man=no", str(unit))
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_is_hardened_by_systemds_own_measure(unit: Path) -> None:
    done = run(tool("systemd-analyze"), "security", "--offline=true", "--no-pager", str(unit))
    exposure = re.search(r"exposure level for \S+ ([\d.]+)", done.stdout)
    assert exposure, done.stderr
    assert float(exposure[1]) <= MAX_EXPOSURE


def test_systemd_hears_of_parley_itself_whether_it_is_ready_and_alive() -> None:
    lines = dict(re.findall(r"^(\w+)=(.*)$", UNIT, re.MULTILINE))
    assert (lines["Type"], lines["NotifyAccess"]) == ("notify", "main")
    assert lines["TimeoutStartSec"] == "2h"  # a model is fetched meanwhile
    red_for = 60  # seconds, after three failures of the engine that it can recover from
    assert int(lines["WatchdogSec"]) * 2 / 3 > red_for


WITHOUT_WRITABLE_CODE = """
import ctypes, sys
PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1
if ctypes.CDLL(None).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0):
    sys.exit("not supported by this kernel")
from bot.inference.model_files import locate
from bot.inference.llama.files import read_facts
print(read_facts(locate.locate("smollm2")).architecture)
"""


@pytest.mark.model
def test_the_model_loads_where_the_unit_denies_memory_that_is_written_and_executed() -> None:
    assert "MemoryDenyWriteExecute=yes" in UNIT.splitlines()
    done = run(sys.executable, "-c", WITHOUT_WRITABLE_CODE)
    if "not supported" in done.stderr:
        skip_for_lack(done.stderr)
    assert (done.returncode, done.stdout) == (0, "llama\n")


def test_wrong_settings_do_not_make_systemd_start_parley_again_and_again() -> None:
    assert "RestartPreventExitStatus=2" in UNIT.splitlines()


# Set-up


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac has other packages")
def test_missing_tools_are_named_with_their_package_before_anything_begins(
    tmp_path: Path,
) -> None:
    shutil.copytree(DEPLOY / "setup", tmp_path / "deploy" / "setup")
    shutil.copy(ROOT / "requirements.txt", tmp_path)
    script = str(tmp_path / "deploy" / "setup" / "install.py")
    done = run(sys.executable, script, "run", cwd=tmp_path, PATH=str(tmp_path), CXX="")
    assert done.returncode == 1
    assert not (tmp_path / ".venv").exists()
    assert done.stderr.splitlines() == [
        "Missing: a C++ compiler, make. On Debian or Ubuntu install them with: "
        "sudo apt-get install build-essential"
    ]


def add_program(folder: Path, name: str, output: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\necho '{output}'\n")
    program.chmod(0o755)


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac has Metal")
def test_llama_cpp_is_built_for_the_gpu_only_with_a_gpu_and_a_compiler_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.delenv("BACKEND", raising=False)
    add_program(tmp_path, "nvcc", "")
    assert install.choose_backend() == "cpu"
    add_program(tmp_path, "nvidia-smi", "GPU 0: Some GPU")
    assert install.choose_backend() == "cuda"
    monkeypatch.setenv("BACKEND", "cpu")
    assert install.choose_backend() == "cpu"


def test_cmake_is_told_of_a_compiler_for_cuda_that_is_not_on_the_path(
    compilers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks for one there alone, and most people's path is without it."""

    def told(backend: str = "cuda") -> str | None:
        return builds.build_for(backend, portable=False).environ.get("CUDACXX")

    monkeypatch.delenv("CUDACXX", raising=False)
    assert told() == "/usr/local/cuda/bin/nvcc"
    assert told("cpu") is None
    monkeypatch.setenv("CUDACXX", "/opt/cuda/bin/nvcc")
    assert told() is None
    monkeypatch.delenv("CUDACXX")
    add_program(compilers, "nvcc", "")
    assert told() is None


GCC, CLANG = ("__GNUC__",), ("__GNUC__", "__clang__")


def add_compiler(folder: Path, name: str, *macros: str, version: str = "12.2.0") -> None:
    defined = "\n".join(f"#define {macro} 1" for macro in macros)
    program = folder / name
    program.write_text(
        f"#!/bin/sh\n[ $1 = --version ] && echo compiler {version} || echo '{defined}'\n"
    )
    program.chmod(0o755)


@pytest.fixture
def compilers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the only compilers there are; nothing else is said about the build."""
    for name in ("CC", "CXX", "CFLAGS", "CXXFLAGS", "CMAKE_ARGS", "BACKEND", "PORTABLE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "bin"


def flags(backend: str = "cpu", *, portable: bool = False) -> tuple[str, str]:
    environ = builds.build_for(backend, portable=portable).environ
    return environ["CFLAGS"], environ["CXXFLAGS"]


@pytest.mark.parametrize("backend", ["cpu", "cuda", "metal"])
@pytest.mark.parametrize("portable", [False, True])
@pytest.mark.parametrize(
    ("macros", "expected"),
    [
        ((*GCC, "__x86_64__"), "-fno-dse"),
        ((*GCC, "__aarch64__"), ""),
        ((*CLANG, "__x86_64__"), ""),
        ((), ""),
    ],
)
def test_only_gcc_for_x86_64_is_told_to_keep_the_stores_of_a_tile_configuration(
    compilers: Path, macros: tuple[str, ...], expected: str, backend: str, portable: bool
) -> None:
    for name in ("cc", "c++"):
        add_compiler(compilers, name, *macros)
    assert flags(backend, portable=portable) == (expected, expected)


def test_each_language_is_asked_of_the_compiler_that_cmake_takes_for_it(
    compilers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_compiler(compilers, "gcc", *GCC, "__x86_64__")
    add_compiler(compilers, "g++", *GCC, "__x86_64__")
    add_compiler(compilers, "clang++", *CLANG, "__x86_64__")
    assert flags() == ("-fno-dse", "-fno-dse")
    monkeypatch.setenv("CXX", "clang++ -stdlib=libc++")
    assert flags() == ("-fno-dse", "")
    monkeypatch.setenv("CMAKE_ARGS", "-DCMAKE_C_COMPILER=clang++ -DCMAKE_CXX_COMPILER:PATH=g++")
    assert flags() == ("", "-fno-dse")


def test_a_persons_own_flags_stay_and_come_last(
    compilers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_compiler(compilers, "cc", *GCC, "__x86_64__")
    add_compiler(compilers, "c++", *GCC, "__x86_64__")
    monkeypatch.setenv("CFLAGS", "-O1 -fdse")
    monkeypatch.setenv("CMAKE_ARGS", "-DGGML_BLAS=on")
    assert flags() == ("-fno-dse -O1 -fdse", "-fno-dse")
    assert builds.build_for("cpu", portable=False).environ["CMAKE_ARGS"] == "-DGGML_BLAS=on"


# As _tile_loadconfig does: the asm reads the whole configuration and declares eight bytes of it.
READS_MORE_THAN_IT_SAYS = """
#include <cstdint>
#include <cstdio>
struct Config {
    uint8_t palette = 0;
    uint8_t row = 0;
    uint8_t reserved[14] = {0};
    uint16_t columns[16] = {0};
    uint8_t rows[16] = {0};
};
extern "C" { uint64_t seen; }
static inline void load(const void * config) {
    asm volatile("lea %0, %%rax; mov 48(%%rax), %%rax; mov %%rax, seen(%%rip)"
                 :: "m"(*((const void **)config)) : "rax");
}
__attribute__((noinline)) void init() {
    alignas(64) Config config = {};
    config.palette = 1;
    for (int tile = 0; tile < 8; tile++) config.rows[tile] = 16;
    load(&config);
}
int main() { init(); printf("%llx", (unsigned long long)seen); }
"""


def test_what_is_compiled_here_fills_a_tile_configuration_whole(tmp_path: Path) -> None:
    chosen = builds.compiler_flags("CXXFLAGS").split()
    if builds.KEEP_STORES not in chosen:
        skip_for_lack("Only GCC on x86-64 drops the stores.")
    (tmp_path / "tiles.cpp").write_text(READS_MORE_THAN_IT_SAYS)
    program = str(tmp_path / "tiles")
    done = run(tool("c++"), "-O3", *chosen, "-o", program, str(tmp_path / "tiles.cpp"))
    assert done.returncode == 0, done.stderr
    assert run(program).stdout == "1010101010101010"


def test_a_wheel_serves_again_only_what_it_was_compiled_for(
    compilers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def key(pin: str = "llama==1", processor: str = "avx2") -> str:
        return builds.build_for("cpu", portable=False).key(pin, processor)

    add_compiler(compilers, "cc", *GCC, "__x86_64__")
    add_compiler(compilers, "c++", *GCC, "__x86_64__")
    wheel = tmp_path / "llama-1-py3-none-any.whl"
    wheel.write_text("compiled")
    builds.keep_wheel(wheel, key())
    found = builds.find_wheel(key())
    assert found
    assert (found.name, found.read_text()) == (wheel.name, "compiled")
    assert not builds.find_wheel(key(pin="llama==2"))
    assert not builds.find_wheel(key(processor="avx2 amx_tile"))
    with monkeypatch.context() as patch:
        patch.setenv("CXXFLAGS", "-Og")
        assert not builds.find_wheel(key())
    with monkeypatch.context() as patch:
        patch.setenv("LDFLAGS", "-static")
        assert not builds.find_wheel(key())
    add_compiler(compilers, "c++", *GCC, "__x86_64__", version="14.1.0")
    assert not builds.find_wheel(key())


def test_the_wheels_used_longest_ago_leave(compilers: Path, tmp_path: Path) -> None:
    wheel = tmp_path / "llama-1-py3-none-any.whl"
    wheel.write_text("compiled")
    for age, key in enumerate("abc"):
        builds.keep_wheel(wheel, key)
        os.utime(builds.wheel_folder() / key, (age, age))
    builds.find_wheel("a")
    builds.keep_wheel(wheel, "d")
    assert sorted(path.name for path in builds.wheel_folder().iterdir()) == ["a", "c", "d"]


def test_a_folder_for_wheels_that_cannot_be_made_costs_nothing_but_time(
    compilers: Path, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file")
    wheel = tmp_path / "llama-1-py3-none-any.whl"
    wheel.write_text("compiled")
    builds.keep_wheel(wheel, "a")
    assert not builds.find_wheel("a")


@pytest.mark.parametrize("asked", ["BACKEND=cuda", "PORTABLE=1", "CMAKE_ARGS=-DGGML_BLAS=on"])
def test_what_depends_on_more_than_compiler_and_processor_is_compiled_afresh(
    compilers: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.setenv(*asked.split("=", 1))
    backend = install.choose_backend()
    assert not builds.build_for(backend, portable="PORTABLE" in os.environ).is_kept


# Plays pip and Parley: what is built dies until the flags hold what the processor needs.
PRETENDED_PYTHON = """#!/bin/sh
case "$*" in
*" pip "*" download "*) while [ "$1" != --dest ]; do shift; done; > "$2/llama.tar.gz" ;;
*" pip "*" wheel "*) while [ "$1" != --wheel-dir ]; do shift; done
    echo "$CMAKE_ARGS $CFLAGS $CXXFLAGS" > "$2/llama-1-py3-none-any.whl" ;;
*" pip "*" install "*) for last in "$@"; do :; done; cat "$last" >> {folder}/built ;;
*"models try"*) [ -z "$PARLEY_MODEL" ] || exit 1
    if tail -n 1 {folder}/built | grep -q -e "{needs}"; then echo llama.cpp computes.; exit; fi
    echo "llama.cpp died of an illegal instruction (SIGILL): build it again." >&2; exit 3 ;;
esac
"""


@pytest.fixture
def pretended(
    compilers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str], Callable[[], list[str]]]:
    """A machine whose processor has these features and lives only with a build that has a flag.

    Gives the flags of every build that was installed, in order.
    """

    def pretend(features: str, needs: str) -> Callable[[], list[str]]:
        python = tmp_path / "python"
        python.write_text(
            PRETENDED_PYTHON.replace("{folder}", str(tmp_path)).replace("{needs}", needs)
        )
        python.chmod(0o755)
        for name in ("VENV", "ROOT"):
            monkeypatch.setattr(install, name, tmp_path)
        monkeypatch.setattr(install, "PYTHON", python)
        monkeypatch.setattr(install, "LOG", tmp_path / "install.log")
        monkeypatch.setattr(install, "processor", lambda: features)
        monkeypatch.setattr(install, "llama_pin", lambda: ("llama", "1"))
        monkeypatch.setenv("PATH", f"{compilers}:/bin:/usr/bin")
        monkeypatch.setenv("PARLEY_MODEL", "mine.gguf")
        monkeypatch.setenv("BACKEND", "cpu")
        for name in ("cc", "c++"):
            add_compiler(compilers, name, *GCC, "__x86_64__")
        (tmp_path / "built").touch()
        return lambda: (tmp_path / "built").read_text().splitlines()

    return pretend


USUAL = "-DGGML_CUDA=off -DGGML_METAL=off -DLLAVA_BUILD=off"


def test_what_lives_is_built_once(pretended: Any, capsys: pytest.CaptureFixture[str]) -> None:
    built = pretended("avx2 amx_int8", "-fno-dse")
    usual = install.usual_build()
    install.install_build(usual)
    install.try_llama(usual)
    assert built() == [f"{USUAL} -fno-dse -fno-dse"]
    assert capsys.readouterr().out.endswith("llama.cpp computes.\n")


def test_where_amx_dies_it_is_left_out_and_then_all_that_only_this_processor_has(
    pretended: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    built = pretended("avx2 amx_int8", "GGML_NATIVE=off")
    usual = install.usual_build()
    install.install_build(usual)
    install.try_llama(usual)
    assert built() == [
        f"{USUAL} -fno-dse -fno-dse",
        f"{USUAL} -fno-dse -U__AMX_INT8__ -fno-dse -U__AMX_INT8__",
        f"{USUAL} -DGGML_NATIVE=off -fno-dse -fno-dse",
    ]
    died = "  llama.cpp died of an illegal instruction (SIGILL): it is built again, for the CPU"
    lines = [line for line in capsys.readouterr().out.splitlines() if "died" in line]
    assert lines == [f"{died} without AMX.", f"{died}, for any of its kind."]


def test_a_processor_without_amx_is_not_built_for_without_it(pretended: Any) -> None:
    built = pretended("avx2", "GGML_NATIVE=off")
    usual = install.usual_build()
    install.install_build(usual)
    install.try_llama(usual)
    assert len(built()) == 2


def test_what_was_there_before_and_dies_is_built_as_usual_first(pretended: Any) -> None:
    built = pretended("avx2 amx_int8", "-fno-dse")
    install.try_llama(None)
    assert built() == [f"{USUAL} -fno-dse -fno-dse"]


def test_what_dies_however_it_is_built_ends_the_set_up_with_a_sentence(pretended: Any) -> None:
    pretended("avx2", "nothing")
    with pytest.raises(SystemExit, match=r"SIGILL\), however it is built: try `make clean` and"):
        install.try_llama(install.usual_build())


def test_what_cmake_args_say_is_not_built_in_another_way(
    pretended: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = pretended("avx2 amx_int8", "nothing")
    monkeypatch.setenv("CMAKE_ARGS", "-DGGML_BLAS=on")
    with pytest.raises(SystemExit, match="change CMAKE_ARGS, then run `make clean`"):
        install.try_llama(install.usual_build())
    assert built() == []


def test_a_step_of_the_set_up_that_fails_shows_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install, "ROOT", tmp_path)
    monkeypatch.setattr(install, "VENV", tmp_path)
    monkeypatch.setattr(install, "LOG", tmp_path / "install.log")
    with pytest.raises(SystemExit, match="mixing failed; the whole output is in install"):
        install.run_quietly(["sh", "-c", "echo no flour; exit 3"], "mixing")
    assert capsys.readouterr().out == "no flour\n"


def test_the_steps_of_the_compiler_are_seen_behind_a_long_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "LOG", tmp_path / "install.log")
    (tmp_path / "install.log").write_text(
        "  [7/193] g++ a.cpp\n" + "  note: declared here\n" * 2000
    )
    assert install.steps_done() == (7, 193)
    assert install.bar(96, 193) == "[###########.............] 96/193"
    (tmp_path / "install.log").write_text("Collecting llama-cpp-python [6/7 MB]\n")
    assert install.bar(*install.steps_done()) == ""


def test_an_interrupted_step_of_the_set_up_gets_time_to_tidy_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(process: subprocess.Popen[bytes], label: str, begun: float) -> None:
        while not (tmp_path / "begun").exists():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)  # as a terminal does to all of its programs
        raise KeyboardInterrupt

    monkeypatch.setattr(install, "VENV", tmp_path)
    monkeypatch.setattr(install, "LOG", tmp_path / "install.log")
    monkeypatch.setattr(install, "watch", interrupt)
    script = "trap 'sleep 0.2; touch tidy; exit' INT; touch begun; while :; do sleep 0.05; done"
    with pytest.raises(KeyboardInterrupt):
        install.run_quietly(["sh", "-c", f"cd {tmp_path}; {script}"], "mixing")
    assert (tmp_path / "tidy").exists()


def test_make_names_a_python_that_is_missing(tmp_path: Path) -> None:
    for name in ("Makefile", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(DEPLOY / "setup", tmp_path / "deploy" / "setup")
    done = run("make", "run", "PYTHON=python9.9", cwd=tmp_path)
    assert done.returncode == 2
    assert "python9.9 is missing: install Python 3.11 or later" in done.stdout


def test_every_target_of_make_is_made_of_commands_that_exist() -> None:
    for target in ("run", "test", "lint", "format", "bench", "try-slack", "clean"):
        done = run("make", "-n", target)
        assert done.returncode == 0, done.stderr
        for module in re.findall(r"python -m ([\w.]+)", done.stdout):
            path = ROOT.joinpath(*module.split("."))
            assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


def test_ci_runs_what_a_person_runs() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().rstrip().endswith("make test")
    assert run("bash", "-n", str(script)).returncode == 0


# The module for CodeProject.AI Server


def test_the_settings_of_the_module_name_its_file_and_the_environment_that_it_reads() -> None:
    folder = DEPLOY / "codeproject-ai"
    settings = json.loads((folder / "modulesettings.json").read_text(encoding="utf-8"))
    module = settings["Modules"]["LlamaChat"]
    code = (folder / module["LaunchSettings"]["FilePath"]).read_text(encoding="utf-8")
    assert set(module["EnvironmentVariables"]) == set(re.findall(r"CPAI_MODULE_LLAMA_\w+", code))
    assert [route["Route"] for route in module["RouteMaps"]] == ["text/chat"]


@pytest.mark.parametrize(("argument", "code"), [("install", 0), ("", 1)])
def test_its_install_script_is_for_the_servers_own_script_only(argument: str, code: int) -> None:
    script = 'writeLine() { echo "$1"; }; . ./install.sh'
    done = run("bash", "-c", script, "setup.sh", argument, cwd=DEPLOY / "codeproject-ai")
    assert done.returncode == code
    assert ("bash ../../setup.sh" in done.stdout) == bool(code)
