"""DICOM films drawn for tests: header elements and stored values as the test says."""

import io
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid


def film(stored: np.ndarray, **elements: Any) -> Dataset:
    """A film of the stored values; `elements` replace or add header elements, None removes one."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["film"])
    dataset.Rows, dataset.Columns = stored.shape[:2]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = stored.dtype.itemsize * 8
    dataset.BitsStored = dataset.BitsAllocated
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    dataset.PixelData = stored.tobytes() + b"\0" * (stored.nbytes % 2)
    dataset["PixelData"].VR = "OB" if stored.dtype.itemsize == 1 else "OW"
    dataset.HighBit = elements.get("BitsStored", dataset.BitsStored) - 1
    for keyword, value in elements.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def saved(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> io.BytesIO:
    dataset.file_meta.TransferSyntaxUID = syntax
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    stream.seek(0)
    return stream


def look_up_item(first: int, entries: list[int], bits: int, *, signed: bool, packed: bool) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if signed else "US", [len(entries) % 65536, first, bits])
    if packed:
        item.add_new("LUTData", "OW", np.array(entries, "<u2").tobytes())
    else:
        item.add_new("LUTData", "US", entries)
    return item
