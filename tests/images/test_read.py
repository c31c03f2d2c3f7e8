"""Images in: formats, colours, limits, damage."""

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from xpronet.errors import InputError
from xpronet.images.read import eight_bits, read_grey, read_header, resize, resize_short_side, write_grey


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> io.BytesIO:
    stream = io.BytesIO()
    image.save(stream, format=form, **options)
    stream.seek(0)
    return stream


def ramp(height: int = 40, width: int = 60) -> np.ndarray:
    """An image whose every row and column differs, so that no turn or flip goes unseen."""
    return (np.arange(height)[:, None] * 2 + np.arange(width)[None, :] * 3).astype(np.uint8)


grey_arrays = hnp.arrays(
    st.sampled_from([np.uint8, np.uint16]), hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24)
)


@given(grey=grey_arrays)
def test_what_is_written_is_read(grey: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("grey") / "a.png"
    write_grey(path, grey)
    back = read_grey(path)
    assert back.dtype == grey.dtype
    np.testing.assert_array_equal(back, grey)
    assert back.flags.writeable
    assert read_header(path) == (grey.shape[1], grey.shape[0], 8 * grey.itemsize)


def test_grey_in_every_clothing_is_the_same_grey() -> None:
    grey = ramp()
    image = Image.fromarray(grey)
    palette = image.convert("P")
    opaque = image.convert("LA")
    for dressed in (image, image.convert("RGB"), image.convert("RGBA"), opaque, palette):
        np.testing.assert_array_equal(read_grey(encoded(dressed)), grey)


def test_one_bit_pictures_are_black_and_white() -> None:
    bits = ramp() > 80
    np.testing.assert_array_equal(read_grey(encoded(Image.fromarray(bits))), np.where(bits, 255, 0))


def test_transparent_is_black_without_a_warning() -> None:
    rgba = np.full((4, 6, 4), 200, np.uint8)
    rgba[..., 3] = 0
    rgba[0, 0, 3] = 255
    grey = read_grey(encoded(Image.fromarray(rgba)))
    assert grey[0, 0] == 200
    assert grey.sum() == 200
    palette = Image.fromarray(ramp()).convert("P")
    read_grey(encoded(palette, transparency=bytes([0] * 128 + [255] * 128)))


def test_colours_become_luminance() -> None:
    pixels = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    np.testing.assert_array_equal(read_grey(encoded(Image.fromarray(pixels))), [[76, 150, 29]])


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_stays_close(mode: str) -> None:
    grey = ramp()
    back = read_grey(encoded(Image.fromarray(grey).convert("RGB").convert(mode), "JPEG", quality=98))
    assert np.abs(back.astype(int) - grey).max() <= 4


def test_size_is_refused_before_decoding() -> None:
    # 60000 x 60000 pixels in 100 bytes: only a header, so that decoding it could not even begin.
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + header
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    data += struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    with pytest.raises(InputError, match="60000 x 60000 pixels are more than the 100,000,000 allowed"):
        read_grey(io.BytesIO(data))


def test_pillows_own_limit_does_not_warn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert read_grey(encoded(Image.fromarray(ramp()))).shape == (40, 60)
    with pytest.raises(InputError, match="more than the 2,399 allowed"):
        read_grey(encoded(Image.fromarray(ramp())), max_pixels=2399)


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_truncated_pictures_are_refused(form: str, share: float, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), form).getvalue()
    path = tmp_path / f"cut.{form.lower()}"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match="damaged or incomplete image") as refused:
        read_grey(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["a.dcm", "a.png", "a.jpg", "a"])
def test_text_is_no_picture(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("The lungs are clear.\n" * 20)
    with pytest.raises(
        InputError, match="not a DICOM file" if name == "a.dcm" else "neither PNG, JPEG, TIFF nor DICOM"
    ):
        read_grey(path)


def test_missing_empty_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_grey(tmp_path / "absent.png")
    with pytest.raises(InputError, match="cannot be read, it is a folder; give the image files"):
        read_grey(tmp_path)
    (tmp_path / "empty.png").touch()
    with pytest.raises(InputError, match="empty file"):
        read_grey(tmp_path / "empty.png")
    with pytest.raises(InputError, match="not a PNG"):
        read_header(tmp_path / "empty.png")


def test_content_counts_not_the_name(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(encoded(Image.fromarray(ramp())).getvalue())
    np.testing.assert_array_equal(read_grey(path), ramp())


def test_other_formats_are_refused() -> None:
    for form in ("GIF", "BMP", "WEBP"):
        with pytest.raises(InputError, match="neither PNG"):
            read_grey(encoded(Image.fromarray(ramp()), form))


def test_nothing_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_grey(path, ramp())
    with pytest.raises(InputError, match="already exists"):
        write_grey(path, ramp())
    write_grey(path, 255 - ramp(), overwrite=True, synced=False)
    np.testing.assert_array_equal(read_grey(path), 255 - ramp())
    assert [found.name for found in tmp_path.iterdir()] == ["a.png"]


@given(value=st.integers(0, 65535))
def test_eight_bits_rounds_to_nearest(value: int) -> None:
    assert eight_bits(np.array([[value]], np.uint16))[0, 0] == round(value / 257)


@given(grey=grey_arrays, short_side=st.integers(1, 40))
def test_short_side(grey: np.ndarray, short_side: int) -> None:
    resized = resize_short_side(grey, short_side)
    assert resized.dtype == grey.dtype
    if min(grey.shape) <= short_side:
        np.testing.assert_array_equal(resized, grey)
    else:
        assert min(resized.shape) == short_side
        assert max(resized.shape) == short_side * max(grey.shape) // min(grey.shape)
    assert min(resize_short_side(grey, short_side, enlarge=True).shape) == short_side
    assert grey.min() <= resized.min()
    assert resized.max() <= grey.max()


def test_sixteen_bits_resize_as_eight_do() -> None:
    grey = np.random.default_rng(1).integers(0, 256, (90, 70), dtype=np.uint8)
    fine = resize((grey.astype(np.uint16) * 257), 31, 44)
    assert np.abs(fine / 257 - resize(grey, 31, 44)).max() <= 1


def test_slim_pictures_are_refused() -> None:
    with pytest.raises(InputError, match="no film"):
        resize_short_side(np.zeros((1, 100_000), np.uint8), 256, enlarge=True)


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    damaged = bytearray(data)
    for _ in range(int(rng.integers(1, 3))):
        kind, place = rng.choice(4, p=(0.7, 0.1, 0.1, 0.1)), int(rng.integers(len(damaged)))
        if rng.random() < 0.5:
            place = min(place, int(rng.integers(400)))  # headers are where parsers go wrong
        if kind == 0:
            damaged[place] = int(rng.integers(256))
        elif kind == 1:
            damaged[place : place + int(rng.integers(1, 30))] = rng.bytes(int(rng.integers(0, 30)))
        elif kind == 2:
            del damaged[place : place + int(rng.integers(1, 200))]
        elif len(damaged) > 40:
            del damaged[max(40, place) :]
        if len(damaged) < 2:
            break
    return bytes(damaged)


def reseal(data: bytes) -> bytes:
    """Put right the checksums of a damaged PNG, so that the damage gets past them."""
    sealed, place = bytearray(data), 8
    while place + 12 <= len(sealed):
        (length,) = struct.unpack(">I", sealed[place : place + 4])
        end = place + 8 + length
        if end + 4 > len(sealed):
            break
        sealed[end : end + 4] = struct.pack(">I", zlib.crc32(bytes(sealed[place + 4 : end])))
        place = end + 4
    return bytes(sealed)


def survives(data: bytes) -> bool:
    """Tell whether an image was read; anything but an image or an InputError of one line fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            grey = read_grey(io.BytesIO(data), max_pixels=4_000_000)
        except InputError as error:
            message = str(error)
        else:
            assert grey.ndim == 2
            return True
    assert "\n" not in message
    return False


def test_damage_never_surprises() -> None:
    rng = np.random.default_rng(7)
    image = Image.fromarray(rng.integers(0, 256, (24, 32), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x011A] = 72.0
    seeds = [
        encoded(image, exif=exif, dpi=(72, 72)),
        encoded(image.convert("P"), transparency=bytes(range(256))),
        encoded(image, save_all=True, append_images=[image.rotate(90)]),
        encoded(image.convert("I;16")),
        encoded(image, "JPEG", exif=exif),
        encoded(image.convert("RGB"), "JPEG", progressive=True),
        encoded(image.convert("CMYK"), "JPEG"),
    ]
    read = 0
    for number in range(6000):
        data = mutated(seeds[number % len(seeds)].getvalue(), rng)
        read += survives(reseal(data) if number % 2 else data)
    assert 600 < read < 5400


def test_palette_picture_without_its_palette() -> None:
    data = encoded(Image.fromarray(ramp()).convert("P"), transparency=bytes([9, 0])).getvalue()
    start = data.index(b"PLTE") - 4
    (length,) = struct.unpack(">I", data[start : start + 4])
    assert not survives(data[:start] + data[start + 12 + length :])


def test_real_pictures(shared: Path) -> None:
    sizes = {}
    for path in sorted((shared / "data" / "iu_xray").rglob("*.png")):
        grey = read_grey(path)
        assert grey.dtype == np.uint8
        sizes[path.name] = grey.shape
        assert 40 < grey.mean() < 220
        np.testing.assert_array_equal(grey, np.asarray(Image.open(path).convert("RGB"))[..., 0])
    assert len(sizes) == 15
    assert sizes["CXR7_IM-2263-1001.png"] == (512, 512)
    assert max(sizes.values()) == (2496, 2048)
