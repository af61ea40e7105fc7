"""Downloads with the real client from a hub on this machine."""

from __future__ import annotations

import shutil
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from huggingface_hub import hf_hub_download, scan_cache_dir

from bot.errors import HubUnavailable, ModelError, ParleyError
from bot.inference.gguf.memory_check import ModelFacts
from bot.inference.model_files.locate import locate
from tests.bot.inference.hub.scene import REPOSITORY, Scene
from tests.fakes.gguf_files import write_embedding_model
from tests.fakes.hub import COMMIT, Answer, sha256

PARTS = tuple(f"Q8_0/m-Q8_0-{number:05}-of-00003.gguf" for number in (1, 2, 3))


def test_a_model_lies_in_the_cache_as_the_hub_s_own_programs_expect(scene: Scene) -> None:
    files = scene.offer("m-Q4_K_M.gguf", "m-Q8_0.gguf", "README.md")
    path = scene.get(f"hf:{REPOSITORY}:*Q4_K_M.gguf")
    assert path.read_bytes() == files["m-Q4_K_M.gguf"]
    assert path == scene.cache.repository(REPOSITORY) / "snapshots" / COMMIT / "m-Q4_K_M.gguf"
    (repository,) = scan_cache_dir(scene.cache.folder).repos
    (revision,) = repository.revisions
    assert (repository.repo_id, revision.commit_hash, set(revision.refs)) == (
        REPOSITORY,
        COMMIT,
        {"main"},
    )
    found = hf_hub_download(
        REPOSITORY, "m-Q4_K_M.gguf", cache_dir=scene.cache.folder, local_files_only=True
    )
    assert Path(found) == path


def test_what_is_coming_is_said_first_and_then_how_much_came(scene: Scene) -> None:
    (data,) = scene.offer("m.gguf").values()
    scene.get()
    assert scene.began == [len(data)]
    assert scene.shown[-1] == ("m.gguf", len(data), len(data))


def test_every_part_of_a_split_model_comes_and_the_first_is_the_model(scene: Scene) -> None:
    files = scene.offer(*PARTS, "Q4/m-Q4-00001-of-00001.gguf")
    path = scene.get(f"hf:{REPOSITORY}:*Q8_0*")
    assert [path.with_name(Path(part).name).read_bytes() for part in PARTS] == [
        files[part] for part in PARTS
    ]
    assert path.name == Path(PARTS[0]).name
    assert [facts.num_bytes for facts in scene.facts] == [sum(len(files[p]) for p in PARTS)]


def test_a_model_that_is_here_costs_one_question_and_no_download(scene: Scene) -> None:
    scene.offer("m.gguf")
    path = scene.get()
    scene.hub.asked.clear()
    assert scene.get() == path
    assert [each.path for each in scene.hub.asked] == [f"/api/models/{REPOSITORY}?blobs=true"]
    assert len(scene.began) == 1


def test_a_newer_commit_is_downloaded_and_found_from_then_on(scene: Scene) -> None:
    scene.offer("m.gguf")
    old = scene.get()
    scene.hub.commit = "f" * 40
    (data,) = scene.offer("m.gguf", size=9_000).values()
    new = scene.get()
    assert new != old
    assert new.read_bytes() == data
    assert scene.find(f"hf:{REPOSITORY}") == (new,)
    shutil.rmtree(new.parent)
    assert scene.find(f"hf:{REPOSITORY}") == (old,)


def test_two_who_want_it_at_once_bring_it_once(scene: Scene) -> None:
    (data,) = scene.offer("m.gguf", size=2_000_000).values()
    with ThreadPoolExecutor(2) as people:
        first, second = people.map(lambda _: scene.get(), range(2))
    assert first == second
    assert first.read_bytes() == data
    assert scene.hub.downloads() == [""]


def test_a_path_may_have_any_letters(scene: Scene) -> None:
    (data,) = scene.offer("größe 1/m#1 %20?.gguf").values()
    assert scene.get().read_bytes() == data


# Interrupted


@pytest.mark.parametrize("cuts", [[1_000], [1_000, 0, 500], [0, 0, 0, 500, 0, 0, 0]])
def test_a_download_that_is_cut_goes_on_where_it_was(scene: Scene, cuts: list[int]) -> None:
    (data,) = scene.offer("m.gguf").values()
    scene.hub.cuts = deque(cuts)
    assert scene.get().read_bytes() == data
    came = [sum(cuts[:number]) for number in range(len(cuts) + 1)]
    assert scene.hub.downloads() == [f"bytes={start}-" if start else "" for start in came]
    assert len(scene.pauses) == len(cuts)
    assert scene.parts() == []


def test_a_line_that_brings_nothing_any_more_is_given_up_and_what_came_is_kept(
    scene: Scene,
) -> None:
    (data,) = scene.offer("m.gguf").values()
    scene.hub.cuts = deque([1_000] + [0] * 9)
    with pytest.raises(
        HubUnavailable, match=r"^The hub at 127.0.0.1:\d+ cannot be reached .* kept\.$"
    ):
        scene.get()
    assert scene.pauses == [1.0, 2.0, 4.0, 8.0]
    assert [part.stat().st_size for part in scene.parts()] == [1_000]
    assert scene.find(f"hf:{REPOSITORY}") == ()
    scene.hub.cuts.clear()
    scene.hub.asked.clear()
    assert scene.get().read_bytes() == data
    assert scene.hub.downloads() == ["bytes=1000-"]


def test_who_stops_a_download_loses_nothing_of_it(scene: Scene) -> None:
    (data,) = scene.offer("m.gguf", size=400_000).values()
    scene.stop_after = 100_000
    with pytest.raises(KeyboardInterrupt):
        scene.get()
    (part,) = scene.parts()
    num_kept = part.stat().st_size
    assert num_kept >= scene.stop_after
    assert data.startswith(part.read_bytes())
    scene.stop_after = len(data)
    scene.hub.asked.clear()
    assert scene.get().read_bytes() == data
    assert scene.hub.downloads() == [f"bytes={num_kept}-"]


def test_an_address_that_is_no_longer_valid_is_asked_for_anew(scene: Scene) -> None:
    (data,) = scene.offer("m.gguf").values()
    scene.hub.cuts = deque([1_000])
    scene.hub.next_storage = deque([None, Answer(403)])
    assert scene.get().read_bytes() == data
    assert scene.hub.downloads() == ["", "bytes=1000-", "bytes=1000-"]
    assert sum(each.method == "HEAD" for each in scene.hub.asked) == 4


def test_storage_that_knows_no_ranges_gives_the_whole_file_again(scene: Scene) -> None:
    (data,) = scene.offer("m.gguf").values()
    scene.hub.knows_ranges = False
    scene.hub.cuts = deque([1_000])
    assert scene.get().read_bytes() == data


# Damaged


@pytest.mark.parametrize("change", [b"x", b"", b"longer than it should be"])
def test_bytes_that_are_not_the_hub_s_are_never_used(scene: Scene, change: bytes) -> None:
    (data,) = scene.offer("m.gguf").values()
    damaged = data[:-1] + change
    scene.hub.served[sha256(data)] = damaged
    with pytest.raises(ParleyError, match=r"came damaged .* try again\.$|cannot be reached"):
        scene.get()
    assert scene.find(f"hf:{REPOSITORY}") == ()
    scene.hub.served.clear()
    assert scene.get().read_bytes() == data


def test_a_file_that_does_not_end_is_left_where_it_should_have(scene: Scene) -> None:
    (data,) = scene.offer("m.gguf").values()
    scene.hub.served[sha256(data)] = data + bytes(5_000_000)
    with pytest.raises(ModelError, match="came damaged"):
        scene.get()
    assert max(done for _, done, _ in scene.shown) < 1_000_000


def test_a_part_that_was_left_damaged_is_noticed(scene: Scene) -> None:
    (data,) = scene.offer("m.gguf").values()
    scene.hub.cuts = deque([1_000] + [0] * 9)
    with pytest.raises(HubUnavailable):
        scene.get()
    scene.hub.cuts.clear()
    (part,) = scene.parts()
    part.write_bytes(b"x" * 1_000)
    with pytest.raises(ModelError, match="came damaged"):
        scene.get()
    assert scene.get().read_bytes() == data


# Room


def test_a_model_for_which_the_disk_has_no_room_is_not_begun(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data,) = scene.offer("m.gguf").values()
    free = len(data) - 1

    def disk_usage(path: Path) -> shutil._ntuple_diskusage:
        return shutil._ntuple_diskusage(10**9, 10**9 - free, free)

    monkeypatch.setattr(shutil, "disk_usage", disk_usage)
    with pytest.raises(ModelError, match=r"needs 0.0 GiB of disk, and .* set HF_HOME to"):
        scene.get()
    assert (scene.began, scene.hub.downloads()) == ([], [])
    blob = scene.cache.blob(REPOSITORY, sha256(data))
    blob.parent.mkdir(parents=True)
    blob.with_name(f"{blob.name}.incomplete").write_bytes(data[:1])
    assert scene.get().read_bytes() == data, "there is room for the rest"


def test_a_file_that_the_hub_does_not_give_over_http_is_not_begun(scene: Scene) -> None:
    scene.offer("m.gguf")
    scene.hub.claims["m.gguf"] = 50 * 10**9 + 1
    with pytest.raises(ModelError, match=r"has more than the 50 GB .* with the hub's own"):
        scene.get()
    assert (scene.began, scene.hub.downloads()) == ([], [])


def test_a_model_for_which_there_is_no_memory_is_not_begun(scene: Scene) -> None:
    (data,) = scene.offer("m.gguf").values()

    def refuse(facts: ModelFacts) -> None:
        raise ModelError(f"{facts.name} of {facts.num_bytes} bytes needs too much memory.")

    scene.fits = refuse
    with pytest.raises(ModelError, match=f"^tiny of {len(data)} bytes needs too much memory"):
        scene.get()
    assert (scene.began, scene.hub.downloads()) == ([], [])


@pytest.mark.model
def test_its_memory_is_that_of_all_parts_and_of_what_the_first_says(scene: Scene) -> None:
    files = scene.offer(*PARTS)
    with locate("smollm2").open("rb") as file:
        files[PARTS[0]] = file.read(2 << 20)
    scene.hub.files[REPOSITORY] = files
    scene.get()
    (facts,) = scene.facts
    assert (facts.bytes_per_cell, facts.num_vocab, facts.max_context) == (23_040, 49_152, 8_192)
    assert facts.num_bytes == sum(map(len, files.values()))


def test_its_facts_are_read_from_the_beginning_of_the_file(scene: Scene, tmp_path: Path) -> None:
    write_embedding_model(tmp_path / "m.gguf")
    scene.hub.files[REPOSITORY] = {"m.gguf": (tmp_path / "m.gguf").read_bytes() + bytes(900_000)}
    with pytest.raises(ModelError, match=r"is an embedding model and cannot write text"):
        scene.get()
    (look,) = (each for each in scene.hub.asked if each.at == "storage")
    assert look.headers["range"] == f"bytes=0-{(1 << 18) - 1}"
    assert scene.hub.downloads() == []
