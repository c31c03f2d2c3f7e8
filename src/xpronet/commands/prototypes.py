"""`xpronet prototypes`: from a labelled corpus to the bank of prototypes."""

from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table


def prototypes(
    corpus: Path,
    *,
    out: Path,
    depth: int = 101,
    width: int = 64,
    weights: str = "random",
    stride_in_1x1: bool = False,
    text: str = "tfidf",
    pooling: Literal["cls", "mean"] = "cls",
    text_width: int = 128,
    per_finding: int = 20,
    mode: Literal["union", "split"] = "union",
    size: int = 224,
    short_side: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> None:
    """Make the prototypes of each finding from a corpus's train studies.

    Args:
        corpus: a corpus folder with labels.csv (`xpronet label` writes it).
        out: the file to write, prototypes.safetensors.
        depth: ResNet's depth: 18, 34, 50 or 101.
        width: ResNet's width; published weights need 64.
        weights: "random", a .safetensors or .pth file with torchvision's names, or "hub:owner/name"; ResNet-101 also
            takes ResNet-50's.
        stride_in_1x1: the weights are of ResNet v1, which halves the image in a block's first convolution.
        text: "tfidf", the folder of a BERT-family model, or "hub:owner/name".
        pooling: what of a BERT counts: its first position (CheXbert) or the mean (sentence models).
        text_width: width of the TF-IDF features.
        per_finding: prototypes of each finding.
        mode: cluster images and their mirror images together (paper), or apart (published code).
        size: side of the square that is cut from an image.
        short_side: short side of the image it is cut from; 8/7 of the size if not given, as 256 is of 224.
        seed: of clustering, TF-IDF and random weights.
        overwrite: replace the file if it is there.
    """
    import torch

    from xpronet.data.corpus import LABELS_FILE, open_corpus
    from xpronet.encoders.resnet import BackboneSettings
    from xpronet.encoders.text_encoders import TFIDF, BertEncoder, TextEncoder, TfidfEncoder
    from xpronet.encoders.weights import backbone_name, load_backbone
    from xpronet.files import new_file
    from xpronet.images.transforms import ImageSettings
    from xpronet.labels.label_tables import label_matrix, read_labels
    from xpronet.progress import on_console
    from xpronet.prototypes.cluster import PrototypeSettings, cluster_findings
    from xpronet.prototypes.features import extract_features

    backbone_settings = BackboneSettings(depth=depth, width=width, stride_in_1x1=stride_in_1x1)
    images = ImageSettings(size=size, short_side=short_side if short_side is not None else size * 8 // 7)
    settings = PrototypeSettings(per_finding=per_finding, mode=mode, seed=seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    # Opened first: hours of work should not end with a refusal to write.
    with new_file(out, overwrite=overwrite) as temporary:
        studies = open_corpus(corpus)
        train = studies.split("train")
        ids = [study.id for study in train]
        labels = label_matrix(read_labels(corpus / LABELS_FILE, ids), ids)
        encoder: TextEncoder
        if text == TFIDF:
            encoder = TfidfEncoder.fit([study.report for study in train], width=text_width, seed=seed)
        else:
            encoder = BertEncoder(text, pooling=pooling, device=device)
        features = extract_features(
            studies,
            train,
            backbone=load_backbone(backbone_settings, weights, seed=seed).to(device),
            image_encoder=backbone_name(backbone_settings, weights, seed=seed),
            images=images,
            text_encoder=encoder,
            track=on_console,
        )
        bank = cluster_findings(features, labels, settings, track=on_console)
        bank.save(temporary, overwrite=True)

    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{len(train)} train studies, {bank.image_encoder}, {bank.text_encoder}")
    table = Table("finding")
    table.add_column("studies", justify="right")
    for finding in bank.findings:
        table.add_row(finding, str(bank.counts[finding]))
    console.print(table)
    for note in bank.notes:
        console.print(note)
    console.print(f"Wrote {len(bank.vectors)} prototypes of width {bank.width} to {out}")
