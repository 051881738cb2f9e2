"""Channels for other loudspeakers: the factors, worked out by hand, and what they do to samples."""

import numpy as np
import pytest

from racs_server.audio import dsp
from racs_server.audio.render import render
from racs_server.values import MAX_CHANNELS, AudioFormat, converting
from tests.audio.sources import Arrays

R = 0.70710678  # 1 / sqrt(2)

BY_HAND = {
    (1, 2): [[1], [1]],
    (2, 1): [[0.5, 0.5]],
    # FL FR FC LFE BL BR -> FL FR, ITU-R BS.775: 1 + R + R = 2.41421356
    (6, 2): [
        [0.41421356, 0, 0.29289322, 0, 0.29289322, 0],
        [0, 0.41421356, 0.29289322, 0, 0, 0.29289322],
    ],
    # R + R + 1 + 0.5 + 0.5 = 3.41421356
    (6, 1): [[0.20710678, 0.20710678, 0.29289322, 0, 0.14644661, 0.14644661]],
    # without a centre: 1 + R = 1.70710678
    (4, 2): [[0.58578644, 0, 0.41421356, 0], [0, 0.58578644, 0, 0.41421356]],
    (3, 2): [[0.58578644, 0, 0.41421356], [0, 0.58578644, 0.41421356]],
    (1, 6): [[0], [0], [1], [0], [0], [0]],
    (1, 4): [[1], [1], [0], [0]],
    (2, 6): [[1, 0], [0, 1], [0, 0], [0, 0], [0, 0], [0, 0]],
    # back and side loudspeakers become one: 1 + 1 = 2
    (8, 6): [
        [0.5, 0, 0, 0, 0, 0, 0, 0],
        [0, 0.5, 0, 0, 0, 0, 0, 0],
        [0, 0, 0.5, 0, 0, 0, 0, 0],
        [0, 0, 0, 0.5, 0, 0, 0, 0],
        [0, 0, 0, 0, 0.5, 0, 0.5, 0],
        [0, 0, 0, 0, 0, 0.5, 0, 0.5],
    ],
    # FL FR FC LFE BC SL SR: 1 + R + 0.5 + R = 2.91421356
    (7, 2): [
        [0.34314575, 0, 0.24264069, 0, 0.17157288, 0.24264069, 0],
        [0, 0.34314575, 0.24264069, 0, 0.17157288, 0, 0.24264069],
    ],
    # beyond eight: by number
    (9, 2): [[0.2, 0, 0.2, 0, 0.2, 0, 0.2, 0, 0.2], [0, 0.2, 0, 0.2, 0, 0.2, 0, 0.2, 0]],
    (2, 9): [[1, 0], [0, 1], *[[0, 0]] * 7],
}


@pytest.mark.parametrize(("before", "after"), BY_HAND)
def test_factors(before: int, after: int) -> None:
    found = np.array(dsp.remix_matrix(before, after))
    assert found == pytest.approx(np.array(BY_HAND[before, after], float), abs=1e-8)


def test_nothing_can_overload_and_nothing_is_softer_than_need_be() -> None:
    for before in range(1, MAX_CHANNELS + 1):
        for after in range(1, MAX_CHANNELS + 1):
            matrix = np.array(dsp.remix_matrix(before, after))
            assert matrix.shape == (after, before)
            assert matrix.min() >= 0
            assert matrix.sum(axis=1).max() == pytest.approx(1)
            if before == after:
                assert np.array_equal(matrix, np.eye(before))


def remixed(audio: np.ndarray, channels: int, depth: int = 16, piece: int = 100_000) -> np.ndarray:
    source = Arrays(piece)
    plan = converting.remix(source.add(audio, AudioFormat(48_000, audio.shape[1], depth)), channels)
    assert plan.frames == len(audio)
    blocks = list(render(plan, source.read))
    assert all(block.size <= 65_536 for block in blocks)
    return np.concatenate(blocks).reshape(-1, channels)


def test_stereo_becomes_its_mean_rounded_half_to_even_and_mono_twice_itself() -> None:
    audio = np.array([[1, 2], [3, 4], [-1, -2], [32_767, 32_767], [-32_768, -32_768], [9, -9]])
    assert remixed(audio, 1).ravel().tolist() == [2, 4, -2, 32_767, -32_768, 0]
    assert remixed(audio[:, :1], 2).tolist() == [[value, value] for value in audio[:, 0]]


@pytest.mark.parametrize("depth", [16, 24])
@pytest.mark.parametrize("before", range(1, 10))
def test_full_scale_stays_within_full_scale(before: int, depth: int) -> None:
    limit = 2 ** (depth - 1)
    audio = np.array([[-limit] * before, [limit - 1] * before])
    for after in range(1, 10):
        found = remixed(audio, after, depth)
        assert found[0].min() == -limit
        assert found[1].max() == limit - 1
        assert found[0].max() <= 0 <= found[1].min()


def test_it_does_not_matter_how_it_is_cut() -> None:
    audio = np.random.default_rng(1).integers(-(2**23), 2**23, (30_000, 6))
    matrix = np.array(dsp.remix_matrix(6, 2))
    expected = np.rint(audio @ matrix.T)
    for piece in (1, 7, 100_000):
        part = slice(None) if piece > 1 else slice(500)
        assert np.array_equal(remixed(audio[part], 2, 24, piece), expected[part])
    assert len(remixed(audio[:, :1], 32, 24)) == 30_000
