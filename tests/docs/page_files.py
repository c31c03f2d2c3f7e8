"""Files that the pages' commands read: a film as DICOM."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_dicom(path: Path, image: Path, *, view: str, study: str, number: int) -> None:
    """Write an image as a radiograph of one patient."""
    from pydicom import Dataset, FileMetaDataset
    from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

    pixels = np.asarray(Image.open(image).convert("L"))
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = f"{study}.1.{number}"
    data = Dataset()
    data.file_meta = meta
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.StudyInstanceUID, data.SeriesInstanceUID = study, f"{study}.1"
    data.PatientID, data.PatientName, data.PatientBirthDate, data.PatientSex = "P1", "Phantom^Drawn", "", ""
    data.StudyDate, data.StudyTime, data.StudyID, data.AccessionNumber = "20260102", "101500", "1", "A1"
    data.ReferringPhysicianName, data.Modality, data.BodyPartExamined, data.ViewPosition = "", "DX", "CHEST", view
    data.SeriesNumber, data.InstanceNumber = 1, number
    data.Rows, data.Columns, data.SamplesPerPixel, data.PhotometricInterpretation = *pixels.shape, 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    data.PixelData = pixels.tobytes()
    data.save_as(path, enforce_file_format=True)
