"""Who comes from another program keeps its names in the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.cli.doctor import check_settings
from bot.config import given_names, load_settings, not_in_this_version, without_effect
from bot.errors import SettingsError

MODEL = "CPAI_MODULE_LLAMA_MODEL"


def put(folder: Path, name: str) -> str:
    path = folder / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.touch()
    return str(path)


@pytest.mark.parametrize(
    ("old", "value", "setting", "read"),
    [
        ("CPAI_PORT", "32168", "port", 32168),
        ("LLM_GPU_LAYERS", "-1", "gpu_layers", -1),
        ("LLM_CONTEXT_WINDOW", " 2048 ", "context", 2048),
        ("LLM_CPU_THREADS", "4", "cpu_threads", 4),
    ],
)
def test_an_old_name_sets_what_the_new_one_does(
    tmp_path: Path, old: str, value: str, setting: str, read: int
) -> None:
    settings = load_settings({old: value}, tmp_path)
    assert getattr(settings, setting) == read
    assert given_names(settings) == [f"PARLEY_{setting.upper()} (as {old})"]
    assert check_settings(settings)[0].detail == f"set: PARLEY_{setting.upper()} (as {old})"
    assert without_effect(settings) == []


def test_a_wrong_value_is_a_mistake_under_the_name_that_was_given(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"LLM_GPU_LAYERS": "many", "CPAI_PORT": "99999"}, tmp_path)
    assert caught.value.problems == [
        "LLM_GPU_LAYERS in the environment is 'many'; it must be a whole number.",
        "CPAI_PORT in the environment is '99999'; it must be at most 65535.",
    ]


def test_an_old_name_never_wins_over_a_new_one_and_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "parley.toml").write_text("port = 4000\ncontext = 2048\n")
    environ = {
        "PARLEY_GPU_LAYERS": "0",
        "LLM_GPU_LAYERS": "many",
        "LLM_CONTEXT_WINDOW": "2048",
        "CPAI_PORT": "32168",
        "PARLEY_MODEL": "new.gguf",
        "LLM_MODEL_FILE": "old.gguf",
        "PARLEY_CPU_THREADS": "",
        "LLM_CPU_THREADS": "3",
    }
    settings = load_settings(environ, tmp_path)
    assert (settings.gpu_layers, settings.port, settings.context) == (0, 4000, 2048)
    assert settings.model == str(tmp_path / "new.gguf")
    assert settings.cpu_threads == 3
    notes = [
        "CPAI_PORT has no effect: port (parley.toml, line 1) says otherwise.",
        "LLM_GPU_LAYERS has no effect: PARLEY_GPU_LAYERS in the environment says otherwise.",
        "LLM_MODEL_FILE has no effect: PARLEY_MODEL in the environment says otherwise.",
    ]
    assert without_effect(settings) == notes
    assert [check.detail for check in check_settings(settings) if check.status == "warn"] == notes


def test_what_has_no_counterpart_is_said(tmp_path: Path) -> None:
    environ = {"LLM_RAG_LENGTH": "4096", "LLM_RAG_HELPER": "x", "LLM_FLASH_ATTENTION": "true"}
    assert without_effect(load_settings(environ, tmp_path)) == [
        "LLM_RAG_HELPER, LLM_RAG_LENGTH have no effect: PARLEY_READ_PAGES and the sources of a "
        "personality say what is read.",
        "LLM_FLASH_ATTENTION has no effect: Parley uses it where it is faster.",
    ]


def test_names_of_others_and_empty_ones_are_none_of_our_business(tmp_path: Path) -> None:
    environ = {"LLM_USER_PATH": "/x", "CPAI_LOG_VERBOSITY": "quiet", "LLM_MODEL_FILE": " "}
    settings = load_settings(environ, tmp_path)
    assert settings == load_settings({}, tmp_path)
    assert without_effect(settings) == given_names(settings) == []


# Which model


def test_a_models_file_is_the_model(tmp_path: Path) -> None:
    path = put(tmp_path, "mine.gguf")
    given = {"LLM_MODEL_FILE": "mine.gguf", "LLM_HUGGINGFACE_REPO": "a/b"}
    settings = load_settings(given, tmp_path)
    assert settings.model_source == path
    assert not_in_this_version(settings) == []


@pytest.mark.parametrize("folder", ["models", "elsewhere", "."])
def test_the_file_in_the_folder_of_the_module_comes_before_the_hub(
    tmp_path: Path, folder: str
) -> None:
    path = put(tmp_path, f"{folder}/mistral.gguf")
    repository = {f"{MODEL}_REPO": "@a/b", f"{MODEL}_FILEGLOB": "*.gguf"}
    environ = {f"{MODEL}_FILENAME": "mistral.gguf", **repository}
    if folder == "elsewhere":
        environ[f"{MODEL}_DIR"] = str(tmp_path / folder)
    settings = load_settings(environ, tmp_path)
    assert settings.model_source == path
    assert not_in_this_version(settings) == []


@pytest.mark.parametrize(
    ("repository", "glob"),
    [
        (f"{MODEL}_REPO", f"{MODEL}_FILEGLOB"),
        ("LLM_HUGGINGFACE_REPO", "LLM_HUGGINGFACE_FILE"),
    ],
)
def test_a_file_that_fits_the_glob_does_without_the_hub(
    tmp_path: Path, repository: str, glob: str
) -> None:
    put(tmp_path, "ggufs/a.Q8_0.gguf")
    path = put(tmp_path, "ggufs/b.Q4_K_M.gguf")
    environ = {"PARLEY_MODEL_DIR": "ggufs", repository: "a/b", glob: "*Q4_K_M.gguf"}
    assert load_settings(environ, tmp_path).model_source == path


@pytest.mark.parametrize(
    ("environ", "model"),
    [
        ({f"{MODEL}_REPO": "@a/b", f"{MODEL}_FILEGLOB": "*q4*"}, "hf:a/b:*q4*"),
        ({f"{MODEL}_FILENAME": "x.gguf", f"{MODEL}_REPO": "@a/b"}, "hf:a/b"),
        ({"LLM_HUGGINGFACE_REPO": "a/b", "LLM_HUGGINGFACE_FILE": "../*"}, "hf:a/b:../*"),
    ],
)
def test_what_only_the_hub_has_is_downloaded_from_there(
    tmp_path: Path, environ: dict[str, str], model: str
) -> None:
    settings = load_settings(environ, tmp_path)
    assert settings.model == model
    assert not_in_this_version(settings) == without_effect(settings) == []
    servers = load_settings({**environ, "PARLEY_ENGINE_URL": "http://127.0.0.1:1"}, tmp_path)
    (note,) = without_effect(servers)
    assert note.endswith("_REPO has no effect: servers run the model.")


def test_a_file_that_is_not_there_is_the_model_that_is_missed(tmp_path: Path) -> None:
    settings = load_settings({f"{MODEL}_FILENAME": "x.gguf"}, tmp_path)
    assert settings.model_source == str(tmp_path / "x.gguf")


def test_of_two_programs_names_the_first_counts_and_that_is_said(tmp_path: Path) -> None:
    environ = {"LLM_MODEL_FILE": "a.gguf", f"{MODEL}_FILENAME": "b.gguf"}
    settings = load_settings(environ, tmp_path)
    assert settings.model == str(tmp_path / "a.gguf")
    assert without_effect(settings) == [
        f"{MODEL}_FILENAME has no effect: LLM_MODEL_FILE in the environment says otherwise."
    ]


TOO_LONG = "a" * 300


@pytest.mark.parametrize(
    ("name", "path", "why"),
    [
        ("PARLEY_MODEL_DIR", "~nobody-here/models", "nobody's home is known for its ~"),
        (f"{MODEL}_DIR", "~nobody-here/models", "nobody's home is known for its ~"),
        ("PARLEY_DATA_DIR", "~nobody-here", "nobody's home is known for its ~"),
        ("LLM_MODEL_FILE", "~nobody-here/a.gguf", "nobody's home is known for its ~"),
        ("PARLEY_PERSONALITIES", TOO_LONG, "no file can have this path (File name too long)"),
        (f"{MODEL}_DIR", TOO_LONG, "no file can have this path (File name too long)"),
        (f"{MODEL}_FILENAME", f"{TOO_LONG}.gguf", "no file can have this path"),
    ],
)
def test_a_path_that_nothing_can_have_is_a_mistake(
    tmp_path: Path, name: str, path: str, why: str
) -> None:
    hub = {f"{MODEL}_REPO": "@someone/model", f"{MODEL}_FILEGLOB": "*"}
    with pytest.raises(SettingsError) as caught:
        load_settings({name: path} | (hub if name.endswith("DIR") else {}), tmp_path)
    (problem, *_) = caught.value.problems
    assert problem.startswith(f"{name} in the environment is '{path[:20]}")
    assert why in problem
