"""The recordings of the gesture recipe, and the windows that are cut out of them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tinyfleet.train import Recording, WindowSet, cut_windows, load_recipe, load_windows, model_input, of_subjects
from tinyfleet_codegen.errors import SetupError
from tinyfleet_zoo.gesture.data import to_raw

RECIPE = load_recipe("gesture")
SPEC = RECIPE.spec


@pytest.fixture(scope="module")
def recordings() -> tuple[Recording, ...]:
    return RECIPE.load_recordings(SPEC)


def cut(recordings: tuple[Recording, ...]) -> WindowSet:
    return cut_windows(recordings, SPEC.frontend, SPEC.input_scale, SPEC.input_zero_point)


def test_ten_people_did_each_exercise_twice(recordings: tuple[Recording, ...]) -> None:
    assert sorted({r.subject for r in recordings}, key=int) == [str(i) for i in range(1, 11)]
    assert sorted((int(r.subject), r.label) for r in recordings) == sorted((s, c) for s in range(1, 11) for c in range(7) for _ in range(2))
    assert all(r.samples.dtype == np.int16 and r.samples.shape[1] == 6 for r in recordings)


def test_streams_have_numbers_of_their_own_and_leave_zero_to_the_board(recordings: tuple[Recording, ...]) -> None:
    assert [r.stream for r in recordings] == list(range(1, 141))


def test_raw_samples_are_counts_of_the_sensor() -> None:
    one_g_then_rest = np.array([[1.0] * 6, [1.0] * 6, [0.0] * 6, [0.0] * 6, [9.0] * 6])
    raw = to_raw(one_g_then_rest, SPEC)
    assert raw.tolist() == [[4096, 4096, 4096, 940, 940, 940], [0] * 6]
    assert to_raw(np.full((2, 6), 100.0), SPEC).tolist() == [[32767] * 6]


def test_nobody_is_in_two_parts(recordings: tuple[Recording, ...]) -> None:
    train, test = of_subjects(recordings, SPEC.train_subjects), of_subjects(recordings, SPEC.test_subjects)
    assert {r.subject for r in train}.isdisjoint(r.subject for r in test)
    assert {r.stream for r in train}.isdisjoint(r.stream for r in test)
    assert len(train) + len(test) == len(recordings)


def test_the_replayed_person_is_unseen_and_gives_enough_windows_in_few_bytes(recordings: tuple[Recording, ...]) -> None:
    train, held_out, replay = load_windows(RECIPE)
    assert {r.subject for r in replay} == {SPEC.test_subjects[0]}
    assert set(train.stream.tolist()).isdisjoint(r.stream for r in replay)
    assert len(cut(replay)) >= 200
    assert {r.stream for r in replay} <= set(held_out.stream.tolist())
    assert sum(r.samples.nbytes for r in replay) < 300_000


def test_windows_never_span_two_recordings(recordings: tuple[Recording, ...]) -> None:
    windows = cut(recordings[:5])
    lengths = {r.stream: len(r.samples) for r in recordings[:5]}
    for i in range(len(windows)):
        stream, start = int(windows.stream[i]), int(windows.sample_index[i])
        assert start + SPEC.frontend.window_samples <= lengths[stream]
        alone = SPEC.frontend.apply(recordings[stream - 1].samples[start : start + 100], SPEC.input_scale, SPEC.input_zero_point)
        assert np.array_equal(windows.x[i], alone[0])
        assert windows.label[i] == recordings[stream - 1].label


def test_no_recordings_give_no_windows() -> None:
    empty = cut(())
    assert len(empty) == 0
    assert empty.x.shape == (0, 100, 6)
    assert empty.label.shape == empty.stream.shape == (0,)


def test_training_sees_what_the_integer_front_end_gives(recordings: tuple[Recording, ...]) -> None:
    part = of_subjects(recordings, ("8",))[:3]
    windows = cut(part)
    features = model_input(windows, RECIPE)
    assert features.shape == (len(windows), 100, 1, 6)
    assert np.array_equal(features[:, :, 0, :] / SPEC.input_scale + SPEC.input_zero_point, windows.x)
    wanted = np.concatenate(
        [
            [
                (r.samples[s : s + 100] - np.array(SPEC.frontend.offset)) * np.array(SPEC.frontend.gain)
                for s in SPEC.frontend.window_starts(len(r.samples))
            ]
            for r in part
        ]
    )
    inside = np.abs(wanted) < 127 * SPEC.input_scale
    # Half a step, and a little more because requantisation rounds twice.
    assert np.abs(features[:, :, 0, :] - wanted)[inside].max() <= SPEC.input_scale * 0.54


def test_other_data_than_the_recipe_was_made_for_is_refused() -> None:
    other = dataclasses.replace(SPEC, data=SPEC.data | {"sha256": "0" * 64})
    with pytest.raises(SetupError, match="SHA-256 eb122f23"):
        RECIPE.load_recordings(other)


@pytest.mark.parametrize("wrong", [{"package": "no-such-package"}, {"file": "seglearn/data/other.npy"}])
def test_missing_data_names_the_extra_to_install(wrong: dict[str, str]) -> None:
    other = dataclasses.replace(SPEC, data=SPEC.data | wrong)
    with pytest.raises(SetupError) as caught:
        RECIPE.load_recordings(other)
    assert "tinyfleet[train]" in str(caught.value.hint)
