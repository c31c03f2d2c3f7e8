"""Generate reports about studies with a trained network."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from xpronet.data.feature_cache import FeatureCache
from xpronet.encoders.build import encoder_fingerprint
from xpronet.errors import InputError
from xpronet.generation.beam import Hypothesis, beam_search, most_agreeing
from xpronet.generation.check_claims import ReportChecker, strongest_place
from xpronet.generation.checked_claims import Place
from xpronet.generation.claim_guide import ClaimGuide, ClaimReader
from xpronet.generation.evidence import by_view, explain_words, written_words
from xpronet.generation.report import FindingScore, GateScore, Report, WordEvidence
from xpronet.generation.runtime import EncodedImages, ModelDescription, Runtime, TorchRuntime
from xpronet.generation.study_images import StudiesSource, StudyImages, StudySource, each_study_images, read_study
from xpronet.generation.view_warnings import view_warnings
from xpronet.images.transforms import test_view
from xpronet.labels.findings import NO_FINDING
from xpronet.labels.rules import RuleLabeler
from xpronet.model.checkpoint import Checkpoint
from xpronet.model.claim_calibration import ClaimCalibration
from xpronet.model.search_settings import BeamSettings
from xpronet.model.visibility import present_findings
from xpronet.precision import forward_precision

LabelsFrom = Literal["predicted", "reference", "all"]


class ReportGenerator:
    """A model ready to generate reports; `xpronet.load` makes one.

    `report` takes the images of one study, `reports` those of many, in whatever form they are at hand; `generate` takes
    tensors that are prepared already.
    """

    def __init__(
        self,
        checkpoint: ModelDescription,
        *,
        device: torch.device,
        settings: BeamSettings | None = None,
        labels_from: LabelsFrom = "predicted",
        precision: Literal["fp32", "bf16", "fp16"] = "fp32",
        runtime: Runtime | None = None,
        fingerprint: str = "",
        features: FeatureCache | None = None,
        max_error: float | None = None,
    ) -> None:
        """Make the network ready, on the device.

        Args:
            checkpoint: what belongs to the network and, unless `runtime` has it, the network.
            device: where to compute.
            settings: width and limits of the search; the checkpoint's own if left out.
            labels_from: what decides which prototypes are visible: the network's own findings, the reference's
                (reproduction only: it tells the model what is in the report), or nothing, so that all are.
            precision: arithmetic of the backbone; what follows it is always fp32, so that the texts are the same.
            runtime: what computes the network; PyTorch if left out.
            fingerprint: of the weights, where they came from a folder.
            features: patch features of a corpus's images, computed by this model's image encoder; reports about that
                corpus then need no image.
            max_error: mark the sentences among whose claims the expected share of false ones is at most this.

        Raises:
            InputError: predicted findings, or claims compared with them, are asked of a model without a findings head,
                the features are those of another image encoder, or the model was not calibrated for `max_error`.
        """
        if features is not None:
            assert isinstance(checkpoint, Checkpoint), "only a checkpoint has an image encoder to compare"
            encoder = checkpoint.network.backbone
            features.check_encoder(name="another", weights=encoder_fingerprint(encoder))
        if runtime is None:
            assert isinstance(checkpoint, Checkpoint), "only a checkpoint has a network for PyTorch"
            runtime = TorchRuntime(checkpoint.network, device)
        if labels_from == "predicted" and not runtime.predicts_findings:
            raise InputError(
                "this model cannot predict findings (no findings head): choose --labels-from all, or reference for "
                "reproduction"
            )
        self.checkpoint = checkpoint
        self.device = device
        self.settings = settings or checkpoint.search
        self.max_error = max_error
        self.labels_from = labels_from
        self.precision = precision
        self.runtime = runtime
        self.fingerprint = fingerprint
        self.features = features
        vocabulary = checkpoint.vocabulary
        # Marks are never words; an unknown word says nothing, and the published model may write it.
        marks = {vocabulary.padding, vocabulary.bos, vocabulary.unknown} - {vocabulary.eos}
        self._labeler = RuleLabeler() if runtime.predicts_findings or self.settings.choose == "agreeing" else None
        self._reader = self._checker = None
        if self._labeler is not None and runtime.predicts_findings:
            claims = checkpoint.claims or ClaimCalibration()
            self._checker = ReportChecker(vocabulary, checkpoint.thresholds, claims, self._labeler)
            if self.settings.evidence:
                self._reader = ClaimReader(vocabulary, checkpoint.findings, self._labeler)
            if max_error is not None:
                claims.threshold(max_error, self.settings)
        elif self.settings.evidence or max_error is not None:
            what = "--max-error" if max_error is not None else f"evidence = {self.settings.evidence:g}"
            raise InputError(f"{what}: this model has no findings head to compare claims with; leave it out")
        self._forbidden = tuple(sorted(marks)) if vocabulary.settings.ids == "separate" else ()
        numbers = range(len(vocabulary)) if vocabulary.phrases else None
        self._lengths = [len(vocabulary.spell(number)) for number in numbers] if numbers is not None else None

    def report(self, images: StudySource, *, study_id: str | None = None, with_evidence: bool = True) -> Report:
        """Generate a report about one study.

        Args:
            images: its views, frontal first: file names (PNG, JPEG, TIFF, DICOM), PIL images or uint8 arrays; or one.
            study_id: what the study is called; by default the name of its first image.
            with_evidence: note for each word which regions and prototypes it came from.

        Raises:
            InputError: an image cannot be read.
        """
        [report] = self._report([read_study(images, id=study_id)], with_evidence=with_evidence)
        return report

    def reports(
        self,
        studies: StudiesSource,
        *,
        batch_size: int = 16,
        with_evidence: bool = False,
    ) -> Iterator[Report]:
        """Generate a report about each study, in order; images are read as they are needed.

        Args:
            studies: a sequence of studies as `report` takes them, a mapping from ids to studies, a corpus, or a folder:
                a corpus folder, or one that holds a folder or an image for each study.
            batch_size: studies that are computed together.
            with_evidence: note for each word which regions and prototypes it came from.

        Raises:
            InputError: there is no study, or an image cannot be read.
        """
        if batch_size < 1:
            raise InputError(f"batch_size = {batch_size}: must be at least 1")
        waiting = each_study_images(studies)
        while batch := list(islice(waiting, batch_size)):
            yield from self._report(batch, with_evidence=with_evidence)

    def _report(self, studies: Sequence[StudyImages], *, with_evidence: bool) -> Iterator[Report]:
        squares = [[test_view(image, self.checkpoint.images) for image in study.images] for study in studies]
        reports = self.generate([study.id for study in studies], *pad_views(squares), with_evidence=with_evidence)
        for study, views, report in zip(studies, squares, reports, strict=True):
            warnings = (*study.warnings, *view_warnings(self.checkpoint, views, study.names))
            yield dataclasses.replace(report, view_names=study.names, images=np.stack(views), study_warnings=warnings)

    def generate(
        self,
        ids: Sequence[str],
        images: UInt8[Tensor, "studies views height width"] | Float[Tensor, "studies views regions channels"],
        view_mask: Bool[Tensor, "studies views"],
        findings: Bool[Tensor, "studies findings"] | None = None,
        *,
        with_evidence: bool = False,
    ) -> list[Report]:
        """Generate a report about each study of a batch.

        Args:
            ids: one a study.
            images: grey squares as the checkpoint's image settings make them, or the views' patch features.
            view_mask: true on real views, at least one a study.
            findings: reference labels; needed where `labels_from` is reference.
            with_evidence: note for each word where it came from.
        """
        with torch.inference_mode():
            with forward_precision(self.device, self.precision):
                seen = self.runtime.encode_images(images, view_mask)
            probabilities = seen.probabilities.cpu().numpy() if seen.probabilities is not None else None
            present = self._present(probabilities, findings, len(ids))
            encoded = self.runtime.encode(seen.patches, torch.from_numpy(present))
            candidates = beam_search(
                self.runtime.begin(encoded, num_beams=self.settings.beams, max_words=self.settings.max_words),
                num_studies=len(ids),
                begin=self.checkpoint.vocabulary.bos,
                end=self.checkpoint.vocabulary.eos,
                settings=self.settings,
                forbidden=self._forbidden,
                lengths=self._lengths,
                device=self.runtime.device,
                guide=self._guide(seen.probabilities),
            )
            found = [self._choose(reports, present[row]) for row, reports in enumerate(candidates)]
            evidence = self._explain(encoded, found, images.shape[1]) if with_evidence else [()] * len(ids)
            regions = self._locate(seen, view_mask)
        textures = self._texture_scores(images, view_mask)
        reports = [
            Report(
                id=study,
                text=self._text(report),
                findings=self._scores(probabilities[row], present[row], regions[row] if with_evidence else None)
                if probabilities is not None
                else (),
                labels_from=self.labels_from,
                log_probability=report.log_probability,
                words=words,
                gate=self._gate_scores(seen.pooled[row][view_mask[row].to(seen.pooled.device)]),
                texture=textures[row],
            )
            for row, (study, report, words) in enumerate(zip(ids, found, evidence, strict=True))
        ]
        return [self._checked(*each) for each in zip(reports, found, regions, strict=True)]

    def _guide(self, probabilities: Float[Tensor, "studies findings"] | None) -> ClaimGuide | None:
        """Return what compares partial reports with the findings, where the search is to."""
        # Where the reference tells the findings, the head is not asked.
        if self._reader is None or probabilities is None or self.labels_from == "reference":
            return None
        thresholds = probabilities.new_tensor([self.checkpoint.thresholds[name] for name in self.checkpoint.findings])
        return ClaimGuide(self._reader, probabilities, thresholds, weight=self.settings.evidence)

    def _checked(
        self, report: Report, found: Hypothesis, regions: Float[np.ndarray, "findings views rows columns"] | None
    ) -> Report:
        """Return a report with its sentences compared with the findings."""
        if self._checker is None:
            return report
        seen = {finding.name: finding.probability for finding in report.findings}
        places: dict[str, Place] = {}
        if regions is not None:
            places = {name: strongest_place(regions[column]) for column, name in enumerate(self.checkpoint.findings)}
        sentences, left_out = self._checker.check(found, report.text, seen, places, report.words)
        report = dataclasses.replace(report, sentences=sentences, left_out=left_out)
        return report if self.max_error is None else self._checker.vouch(report, self.max_error, self.settings)

    def _choose(self, candidates: Sequence[Hypothesis], present: Bool[np.ndarray, " findings"]) -> Hypothesis:
        if self._labeler is None or self.settings.choose == "likeliest" or self.labels_from == "all":
            return candidates[0]
        told = dict(zip(self.checkpoint.findings, present.tolist(), strict=True))
        return candidates[most_agreeing([self._text(report) for report in candidates], told, self._labeler)]

    def _explain(self, encoded: Any, found: list[Hypothesis], num_views: int) -> list[tuple[WordEvidence, ...]]:
        if not any(report.words for report in found):
            return [() for _ in found]
        words = written_words(found, self.checkpoint.vocabulary)
        reading = self.runtime.word_evidence(encoded, words)
        if reading is None:
            return [() for _ in found]
        return explain_words(
            reading,
            found,
            vocabulary=self.checkpoint.vocabulary,
            findings=self.checkpoint.findings,
            per_finding=self.checkpoint.per_finding,
            num_views=num_views,
        )

    def _locate(
        self, seen: EncodedImages, view_mask: Bool[Tensor, "studies views"]
    ) -> list[Float[np.ndarray, "findings own rows columns"] | None]:
        """Return what each region of each study's own views adds to its findings."""
        if not self.runtime.predicts_findings:
            return [None] * len(view_mask)
        grids = by_view(self.runtime.finding_regions(seen.patches).transpose(1, 2), view_mask.shape[1])
        # Views that only fill the batch up come after the study's own.
        return [grid[:, :count] for grid, count in zip(grids, view_mask.sum(1).tolist(), strict=True)]

    def _present(
        self,
        probabilities: Float[np.ndarray, "studies findings"] | None,
        reference: Bool[Tensor, "studies findings"] | None,
        num_studies: int,
    ) -> Bool[np.ndarray, "studies findings"]:
        names = self.checkpoint.findings
        if self.labels_from == "all":
            return np.ones((num_studies, len(names)), bool)
        if self.labels_from == "reference":
            if reference is None:
                raise InputError("--labels-from reference needs a corpus with labels.csv: run `xpronet label` on it")
            return reference.cpu().numpy().astype(bool)
        assert probabilities is not None
        thresholds = torch.tensor([self.checkpoint.thresholds[name] for name in names])
        return present_findings(torch.from_numpy(probabilities), thresholds, names.index(NO_FINDING)).numpy()

    def _scores(
        self,
        probabilities: Float[np.ndarray, " findings"],
        present: Bool[np.ndarray, " findings"],
        regions: Float[np.ndarray, "findings views rows columns"] | None,
    ) -> tuple[FindingScore, ...]:
        return tuple(
            FindingScore(
                name=name,
                probability=float(probabilities[column]),
                threshold=self.checkpoint.thresholds[name],
                present=bool(present[column]),
                regions=None if regions is None else regions[column],
            )
            for column, name in enumerate(self.checkpoint.findings)
        )

    def _gate_scores(self, pooled: Float[Tensor, "views channels"]) -> tuple[GateScore, ...]:
        gate = self.checkpoint.gate
        if gate is None:
            return ()
        return tuple(
            GateScore(score=score, threshold=gate.threshold) for score in gate.scores(pooled.cpu().numpy()).tolist()
        )

    def _texture_scores(
        self,
        images: UInt8[Tensor, "studies views height width"] | Float[Tensor, "studies views regions channels"],
        view_mask: Bool[Tensor, "studies views"],
    ) -> list[tuple[GateScore, ...]]:
        """Return how far each view's texture is from that of drawings; nothing where features stand for the images."""
        texture = self.checkpoint.texture
        if texture is None or not texture.of_drawings or images.dtype != torch.uint8:
            return [()] * len(view_mask)
        threshold = float(texture.threshold)
        scores = iter(texture.scores(images[view_mask].numpy()).tolist())
        return [
            tuple(GateScore(score=next(scores), threshold=threshold) for _ in range(count))
            for count in view_mask.sum(1).tolist()
        ]

    def _text(self, report: Hypothesis) -> str:
        """Return the words as text."""
        return self.checkpoint.vocabulary.text(report.words)


def pad_views(
    studies: Iterable[Sequence[UInt8[np.ndarray, "height width"]]],
) -> tuple[UInt8[Tensor, "studies views height width"], Bool[Tensor, "studies views"]]:
    """Stack the views of several studies, black where one has fewer, and the mask of real ones."""
    studies = list(studies)
    num_views = max(len(views) for views in studies)
    images = np.zeros((len(studies), num_views, *studies[0][0].shape), np.uint8)
    mask = np.zeros((len(studies), num_views), bool)
    for row, views in enumerate(studies):
        images[row, : len(views)] = np.stack(views)
        mask[row, : len(views)] = True
    return torch.from_numpy(images), torch.from_numpy(mask)
