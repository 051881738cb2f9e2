"""Draw a recording as the store gives it back: its waveform, by PEAKS, above its spectrogram.

Run by `scripts/figures`. A server of its own, in a temporary folder, takes the recording in and
gives it back; the picture has its own dark ground, so that it reads the same on a page of any
colour.
"""

import sys
import tempfile
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile
from matplotlib import mlab
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from tests.e2e.daemon import Daemon

ROOT = Path(__file__).resolve().parents[1]
RECORDING = ROOT / "tests" / "data" / "speech_austen_16k_mono.wav"
PICTURE = ROOT / "scripts" / "recording.png"
STREAM = "readings/austen"
POINTS = 1600
WINDOW, STEP, PADDED = 400, 40, 2048  # 25 ms in steps of 2.5 ms at 16 kHz
RANGE_DB = 72
GROUND, INK, DIM, BODY, PEAK = "#11131a", "#e6e8ef", "#9aa0b2", "#ffb86b", "#c8553d"
HEAT = LinearSegmentedColormap.from_list(
    "heat", [GROUND, "#3a1d4d", "#8c2a5b", PEAK, BODY, "#fff3d6"]
)


def through_the_store() -> tuple[NDArray[np.int32], NDArray[np.float32], int]:
    """Archive the recording and get it back.

    Returns
    -------
    tuple
        Samples, shape (sample frames,); peaks, shape (POINTS, 3): least, greatest, RMS; the rate.
    """
    rate = soundfile.info(RECORDING).samplerate
    with tempfile.TemporaryDirectory() as folder, Daemon(Path(folder)) as daemon:
        racs = daemon.client()
        racs.execute_command(f"CREATE '{STREAM}' {rate} 1 16")
        racs.stream(STREAM).execute(RECORDING)
        samples = racs.pipeline().range(STREAM, 0, 3600).execute()
        peaks = racs.pipeline().range(STREAM, 0, 3600).peaks(POINTS).execute()
        racs.close()
    assert isinstance(samples, np.ndarray)
    assert isinstance(peaks, np.ndarray)
    return samples, peaks.reshape(POINTS, 3), rate


def draw_waveform(axes: Axes, peaks: NDArray[np.float32], seconds: float) -> None:
    """Draw the range of each point's samples, and their RMS within it."""
    least, greatest, rms = peaks.T
    times = (np.arange(len(peaks)) + 0.5) * seconds / len(peaks)
    axes.fill_between(times, least, greatest, color=PEAK, linewidth=0)
    axes.fill_between(times, -rms, rms, color=BODY, linewidth=0)
    most = 1.1 * np.abs(peaks).max()
    axes.set_ylim(-most, most)
    axes.axis("off")


def draw_spectrogram(axes: Axes, samples: NDArray[np.int32], rate: int) -> None:
    """Draw power by time and frequency, in dB below the strongest."""
    power, frequencies, times = mlab.specgram(
        samples / 2.0**15, WINDOW, rate, window=np.hanning(WINDOW), noverlap=WINDOW - STEP,
        pad_to=PADDED,
    )  # fmt: skip
    level = 10 * np.log10(power / power.max() + 1e-12)
    axes.imshow(
        level,
        origin="lower",
        aspect="auto",
        extent=(times[0], times[-1], 0, frequencies[-1] / 1000),
        cmap=HEAT,
        vmin=-RANGE_DB,
        vmax=-6,
        interpolation="bilinear",
    )
    axes.set_ylabel("kHz", color=DIM)
    axes.set_xlabel("seconds", color=DIM)
    axes.set_yticks(range(0, rate // 2000 + 1, 2))
    axes.tick_params(colors=DIM, length=3)
    axes.spines[:].set_visible(False)


def draw(target: Path) -> None:
    """Write the picture."""
    samples, peaks, rate = through_the_store()
    seconds = len(samples) / rate
    figure = Figure(figsize=(10, 4.8), facecolor=GROUND)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.7))
    figure.subplots_adjust(left=0.06, right=0.98, top=0.89, bottom=0.11, hspace=0.05)
    draw_waveform(above, peaks, seconds)
    draw_spectrogram(below, samples, rate)
    above.set_xlim(0, seconds)
    for axes in (above, below):
        axes.set_facecolor(GROUND)
    figure.text(0.06, 0.935, STREAM, color=INK, fontsize=13, fontweight="bold")
    kind = f"{rate / 1000:g} kHz · 16 bit · mono · {len(samples):,} sample frames"
    figure.text(0.98, 0.935, kind, color=DIM, fontsize=10, ha="right")
    drawn = BytesIO()
    figure.savefig(drawn, dpi=140)
    Image.open(drawn).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
        target, optimize=True
    )


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE)
