"""A model that can be handed over: a checkpoint folder with its card, and nothing of where it was made."""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch

from xpronet.data.corpus import open_corpus
from xpronet.errors import InputError
from xpronet.evaluation.model_origin import SCORECARD_FILE
from xpronet.experiment.model_card import CARD_FILE, Card, model_card, read_facts, read_scorecard
from xpronet.experiment.origin import ORIGIN_FILE, read_origin
from xpronet.files import new_folder, read_json, write_json, write_text
from xpronet.model.checkpoint_files import (
    CONFIG_FILE,
    TRAINING_FILE,
    WEIGHTS_FILE,
    check_checkpoint,
    find_checkpoint,
    fingerprint,
    listed_files,
    load_tensors,
    save_tensors,
    write_manifest,
)
from xpronet.show.examples import EXAMPLES_FILE, SPRITE_FILE
from xpronet.training.checkpoints import OPTIMISER_FILE, VIEWS
from xpronet.training.training_data import TRAINING_DATA_FILE, TrainingData, read_training_data

LEFT_OUT = (OPTIMISER_FILE, TRAINING_FILE, CARD_FILE, SCORECARD_FILE, TRAINING_DATA_FILE, ORIGIN_FILE)
"""Files of a checkpoint that are left out or written anew; all others that its manifest lists are handed over as they
are, so that its reports are the run's to the byte."""
EXAMPLES = (EXAMPLES_FILE, SPRITE_FILE)
"""Parts of train images: handed over only where that is asked for."""
Weights = Literal["kept", "fp16"]
KEPT_OF_TRAINING = (VIEWS, "step", "best_score", "best_epoch")
"""Entries of training.json that are handed over; sums and the gradient scaler's state serve resuming alone."""
TOLD_BY_FOLDERS = ("trial", "predictions")
"""Entries of a scorecard's stamp that are files or folders of whoever scored."""
ABSOLUTE = re.compile(r"(?<![\w.:/])(?:/[^\s/:;,'\"]+)*/(?=[^\s/:;,'\"])")
"""The folders of an absolute path."""


def pack(
    run: Path,
    out: Path,
    *,
    name: str | None = None,
    corpus: Path | None = None,
    scorecard: Path | None = None,
    weights: Weights = "kept",
    examples: bool = False,
    command: str = "",
    address: str | None = None,
    overwrite: bool = False,
) -> list[tuple[str, int]]:
    """Write a model into one folder that every command and `xpronet.load` take.

    Args:
        run: run or checkpoint folder; of a run, the best checkpoint is taken.
        out: the model folder to write.
        name: what the model is called; by default the folder's name.
        corpus: the corpus that it learned from, where the run does not say.
        scorecard: its scorecard; by default the run's scorecard.json, if there is one.
        weights: how the weights are stored. In fp16 they take half the space and are rounded to 11 bits: another
            model, with a fingerprint and scores of its own. The network computes in fp32 either way.
        examples: hand over the examples of the prototypes that `xpronet show prototypes` wrote, parts of train images.
        command: what made the model from nothing, for its card; by default as the folder says.
        address: where the card says that `xpronet.load` finds the model; by default under its name.
        overwrite: replace the folder if it is there.

    Returns:
        Name and size in bytes of each file.

    Raises:
        InputError: no checkpoint is there, it is damaged or reads other files, nothing says what it learned from, or
            the folder exists; the scorecard or the examples are another model's; a weight is too large for fp16.
    """
    folder = find_checkpoint(run)
    check_checkpoint(folder)
    _check_alone(folder)
    data, origin = learned_from(run, corpus), read_origin(run, command=command)
    if scorecard is not None and not scorecard.is_file():
        raise InputError(f"{scorecard}: no such file; name a scorecard that `xpronet evaluate --out` wrote")
    rounded = _rounded(folder) if weights == "fp16" else None
    if rounded is not None and scorecard is not None:
        raise InputError(f"{scorecard}: rounded weights need a scorecard of their own; pack, score, and pack again")
    # The run's own scorecard is of the weights before they were rounded.
    card = read_scorecard(scorecard or run / SCORECARD_FILE) if rounded is None else None
    if card is not None:
        if not _is_of(card, folder):
            raise InputError(
                f"{scorecard or run / SCORECARD_FILE}: of the weights {card['stamp']['model']}, not of "
                f"{fingerprint(folder)}; score this model with `xpronet generate` and `xpronet evaluate --out`"
            )
        card = anonymous(card, hidden=_places(run))
    if examples:
        _check_examples(run, folder)
    with new_folder(out, overwrite=overwrite) as temporary:
        # What the manifest does not list is no part of the checkpoint.
        for file in sorted(listed_files(folder) - {*LEFT_OUT, *EXAMPLES}):
            shutil.copyfile(folder / file, temporary / file)
        if rounded is not None:
            save_tensors(temporary / WEIGHTS_FILE, rounded, overwrite=True)
        for file in EXAMPLES if examples else ():
            shutil.copyfile(run / file, temporary / file)
        training = read_json(folder / TRAINING_FILE)
        write_json(temporary / TRAINING_FILE, {key: training[key] for key in KEPT_OF_TRAINING if key in training})
        data.write(temporary)
        origin.write(temporary)
        if card is not None:
            write_json(temporary / SCORECARD_FILE, card)
        write_manifest(temporary)
        facts, title = read_facts(temporary), name or out.resolve().name
        write_text(temporary / CARD_FILE, model_card(title, facts, data, card, origin, address=address))
        write_manifest(temporary)
    return [(path.name, path.stat().st_size) for path in sorted(out.iterdir())]


def write_run_card(run: Path) -> None:
    """Write the model card of a trained run into its folder, with the scores of its scorecard.json if there is one.

    A run that does not say what it learned from, because an earlier version trained it, gets none.

    Raises:
        InputError: a file of the run is damaged.
    """
    data, folder = read_training_data(run), find_checkpoint(run)
    if data is None:
        return
    card = read_scorecard(run / SCORECARD_FILE)
    if card is not None and not _is_of(card, folder):
        card = None  # left over from before the run was resumed
    text = model_card(run.resolve().name, read_facts(folder), data, card, read_origin(run))
    write_text(run / CARD_FILE, text, overwrite=True)


def _rounded(folder: Path) -> dict[str, torch.Tensor]:
    """Return a checkpoint's weights in fp16; counts stay whole numbers.

    Raises:
        InputError: a weight is too large.
    """
    tensors = load_tensors(folder / WEIGHTS_FILE)
    rounded = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    large = [name for name, tensor in rounded.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if large:
        raise InputError(f"{folder / WEIGHTS_FILE}: {large[0]} does not fit into fp16; leave out --weights fp16")
    return rounded


def _check_examples(run: Path, folder: Path) -> None:
    """Refuse examples that are missing or another model's.

    Raises:
        InputError: they are.
    """
    for file in EXAMPLES:
        if not (run / file).is_file():
            raise InputError(f"{run / file}: no such file; make it with `xpronet show prototypes {run}`")
    record = read_json(run / EXAMPLES_FILE)
    if not isinstance(record, dict) or record.get("model") != fingerprint(folder):
        raise InputError(
            f"{run / EXAMPLES_FILE}: of other weights; make it again with `xpronet show prototypes {run} --overwrite`"
        )


def _is_of(card: Card, checkpoint: Path) -> bool:
    """Return whether a scorecard is of a checkpoint's reports, as far as it says."""
    return card["stamp"].get("model", fingerprint(checkpoint)) == fingerprint(checkpoint)


def anonymous(card: Mapping[str, Any], *, hidden: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a scorecard without the folders that it was made in; its numbers stay.

    Args:
        card: as scorecard.json has it.
        hidden: texts that are to vanish wherever they stand.
    """

    def clean(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: clean(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [clean(inner) for inner in value]
        if isinstance(value, str):
            for text in hidden:
                value = value.replace(text, "")
            return ABSOLUTE.sub("", value)
        return value

    told = {key: value for key, value in card["stamp"].items() if key not in TOLD_BY_FOLDERS}
    cleaned: dict[str, Any] = clean({**card, "stamp": told})
    return cleaned


def learned_from(run: Path, corpus: Path | None) -> TrainingData:
    """Return what a run or model learned from.

    Args:
        run: run, checkpoint or model folder.
        corpus: the corpus, where the run does not say.

    Raises:
        InputError: neither says.
    """
    if corpus is not None:
        return TrainingData.of(open_corpus(corpus, with_sections=False))
    data = read_training_data(run)
    if data is None:
        raise InputError(
            f"{run}: does not say what it learned from (no {TRAINING_DATA_FILE}); name the corpus with --corpus"
        )
    return data


def _check_alone(folder: Path) -> None:
    """Refuse a checkpoint whose image encoder reads a folder of this machine.

    Raises:
        InputError: it does.
    """
    source = str(read_json(folder / CONFIG_FILE)["backbone"].get("source", ""))
    if Path(source).is_absolute():
        raise InputError(
            f"{folder / CONFIG_FILE}: its image encoder reads {source}, which a packed model cannot hold; train with "
            "backbone.source = 'hub:OWNER/NAME', or a name without folders"
        )


def _places(run: Path) -> tuple[str, ...]:
    """Return how the folders around a run may be written in a scorecard, longest first."""
    folders = (f"{run.resolve().parent}{os.sep}", f"{run.parent}{os.sep}", f"{Path.cwd()}{os.sep}")
    found = {text for text in folders if len(text) > 3}
    return tuple(sorted(found, key=len, reverse=True))
