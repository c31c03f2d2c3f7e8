"""TIFF images: samples, pages, limits, damage."""

import io
import struct
import warnings

import numpy as np
import PIL
import pytest
from PIL import Image

from xpronet.errors import InputError
from xpronet.images.read import read_grey

RAMP = (np.arange(40)[:, None] * 2 + np.arange(60)[None, :] * 3).astype(np.uint8)
NEW_SUBFILE_TYPE, BITS_PER_SAMPLE, PHOTOMETRIC, TILE_WIDTH, TILE_LENGTH = 254, 258, 262, 322, 323


def tiff(array: np.ndarray | Image.Image, **options: object) -> io.BytesIO:
    stream = io.BytesIO()
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    image.save(stream, format="TIFF", **options)
    stream.seek(0)
    return stream


def with_tag(stream: io.BytesIO, tag: int, value: int) -> io.BytesIO:
    """Change the value of a SHORT or LONG tag of a little-endian TIFF file."""
    data = bytearray(stream.getvalue())
    for place in range(0, len(data) - 12):
        if data[place : place + 2] == tag.to_bytes(2, "little") and data[place + 2 : place + 4] in (b"\3\0", b"\4\0"):
            data[place + 8 : place + 12] = value.to_bytes(4, "little")
            return io.BytesIO(bytes(data))
    raise AssertionError(f"no tag {tag}")


def handmade(pixels: bytes, tags: dict[int, int]) -> io.BytesIO:
    """A little-endian TIFF file of 8 x 8 pixels, uncompressed, grey of 8 bits unless `tags` say otherwise."""
    entries = {
        256: 8,
        257: 8,
        BITS_PER_SAMPLE: 8,
        259: 1,
        PHOTOMETRIC: 1,
        273: 8,
        277: 1,
        278: 8,
        279: len(pixels),
        **tags,
    }
    directory = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(entries.items())
    )
    return io.BytesIO(b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels + directory + bytes(4))


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_grey_is_exact(kind: type, compression: str | None) -> None:
    grey = RAMP.astype(kind) * (250 if kind == np.uint16 else 1)
    back = read_grey(tiff(grey, compression=compression))
    assert back.dtype == kind
    np.testing.assert_array_equal(back, grey)


def test_big_endian_and_big_tiff() -> None:
    grey = RAMP.astype(np.uint16) * 250
    big = Image.fromarray(grey.astype(">u2"))
    np.testing.assert_array_equal(read_grey(tiff(big)), grey)
    np.testing.assert_array_equal(read_grey(tiff(grey, big_tiff=True)), grey)


YCBCR = pytest.param(
    "YCbCr",
    marks=pytest.mark.skipif(
        int(PIL.__version__.partition(".")[0]) < 13, reason="Pillow before 13 cannot read the YCbCr TIFF that it writes"
    ),
)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "CMYK", YCBCR, "RGBX"])
def test_colours_become_luminance(mode: str) -> None:
    image = Image.fromarray(RAMP)
    if mode == "LA":
        image = image.convert("LA")
    elif mode in ("CMYK", "YCbCr", "RGBX"):
        image = image.convert("RGB").convert(mode)
    else:
        image = image.convert(mode)
    assert np.abs(read_grey(tiff(image)).astype(int) - RAMP).max() <= 1


def test_bilevel() -> None:
    bits = RAMP > 80
    np.testing.assert_array_equal(read_grey(tiff(bits, compression="group4")), np.where(bits, 255, 0))


def test_white_is_zero() -> None:
    for grey in (RAMP, RAMP.astype(np.uint16) * 250):
        inverted = read_grey(with_tag(tiff(grey), PHOTOMETRIC, 0))
        np.testing.assert_array_equal(inverted, np.iinfo(grey.dtype).max - grey)


def test_twelve_bits_span_the_range() -> None:
    values = np.arange(0, 4096, 65, dtype=np.uint16)[:64].reshape(8, 8)
    packed = b"".join(
        bytes([first >> 4, (first & 15) << 4 | second >> 8, second & 255])
        for first, second in values.reshape(-1, 2).tolist()
    )
    np.testing.assert_array_equal(read_grey(handmade(packed, {BITS_PER_SAMPLE: 12})), np.rint(values * (65535 / 4095)))


@pytest.mark.parametrize(("kind", "what"), [(np.float32, "floating-point"), (np.int32, "integers")])
def test_samples_that_are_no_greys_are_refused(kind: type, what: str) -> None:
    with pytest.raises(InputError, match=f"samples that are .*{what}"):
        read_grey(tiff(RAMP.astype(kind)))


def test_unknown_samples_are_refused_for_what_they_are() -> None:
    with pytest.raises(InputError, match="samples of this kind are not read"):
        read_grey(with_tag(tiff(RAMP), BITS_PER_SAMPLE, 7))
    with pytest.raises(InputError, match="colours of mode LAB are not read"):
        read_grey(
            tiff(Image.fromarray(np.dstack([RAMP] * 3), "RGB").convert("LAB") if False else Image.new("LAB", (8, 8)))
        )


def test_pages() -> None:
    pages = [Image.fromarray(RAMP), Image.fromarray(255 - RAMP)]
    stream = tiff(pages[0], save_all=True, append_images=pages[1:])
    with pytest.raises(InputError, match="holds 2 frames; choose one with --frame"):
        read_grey(stream)
    for number, page in enumerate((RAMP, 255 - RAMP), 1):
        stream.seek(0)
        np.testing.assert_array_equal(read_grey(stream, frame=number), page)
    stream.seek(0)
    with pytest.raises(InputError, match="has no frame 3"):
        read_grey(stream, frame=3)


def test_thumbnails_are_no_pages() -> None:
    thumbnail = Image.fromarray(RAMP[::4, ::4].copy())
    thumbnail.encoderinfo = {"tiffinfo": {NEW_SUBFILE_TYPE: 1}}
    stream = tiff(Image.fromarray(RAMP), save_all=True, append_images=[thumbnail])
    np.testing.assert_array_equal(read_grey(stream), RAMP)


def test_size_and_tiles_are_refused_before_decoding() -> None:
    stream = tiff(RAMP)
    with pytest.raises(InputError, match="60 x 40 pixels are more than the 2,399 allowed"):
        read_grey(stream, max_pixels=2399)
    huge = with_tag(with_tag(stream, 256, 1 << 20), 257, 1 << 20)
    with pytest.raises(InputError, match="more than the 100,000,000 allowed"):
        read_grey(huge)
    tiled = handmade(bytes(64), {TILE_WIDTH: 1 << 16, TILE_LENGTH: 1 << 16})
    with pytest.raises(InputError, match="tiles of 65536 x 65536 pixels are too large"):
        read_grey(tiled)


def test_other_formats_have_one_frame() -> None:
    stream = io.BytesIO()
    Image.fromarray(RAMP).save(stream, format="PNG")
    stream.seek(0)
    assert read_grey(stream, frame=1).shape == RAMP.shape
    stream.seek(0)
    with pytest.raises(InputError, match="has no frame 2"):
        read_grey(stream, frame=2)


def test_damage_never_surprises() -> None:
    rng = np.random.default_rng(5)
    noise = rng.integers(0, 256, (24, 32), dtype=np.uint8)
    seeds = [
        tiff(noise),
        tiff(noise, compression="tiff_lzw", tiffinfo={274: 6}),
        tiff(noise.astype(np.uint16) * 257, compression="tiff_adobe_deflate"),
        tiff(Image.fromarray(noise).convert("P")),
        tiff(Image.fromarray(noise), save_all=True, append_images=[Image.fromarray(noise)]),
    ]
    read = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in range(3000):
            data = bytearray(seeds[number % len(seeds)].getvalue())
            for _ in range(int(rng.integers(1, 4))):
                near_end = rng.random() < 0.7  # where the tags are
                place = int(rng.integers(max(0, len(data) - 250), len(data)) if near_end else rng.integers(len(data)))
                data[place] = int(rng.integers(256))
            if rng.random() < 0.1:
                del data[int(rng.integers(8, len(data))) :]
            try:
                grey = read_grey(io.BytesIO(bytes(data)), max_pixels=1_000_000)
            except InputError as error:
                assert "\n" not in str(error)  # noqa: PT017
            else:
                assert grey.ndim == 2
                read += 1
    assert 300 < read < 2700
