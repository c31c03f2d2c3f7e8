"""A next-word model for tests of the search: a random table over whole prefixes."""

import torch
from torch import Tensor


class Prefixes:
    """Scores the next word from a random table over whole prefixes, and keeps count of beams as a decoder must."""

    def __init__(self, seeds: list[int], num_words: int, sharpness: float = 1.0, flat: bool = False) -> None:
        self.seeds, self.num_words, self.sharpness, self.flat = seeds, num_words, sharpness, flat
        self.rows: list[list[tuple[int, ...]]] = []
        self.steps = 0

    def scores(self, study: int, prefix: tuple[int, ...]) -> Tensor:
        if self.flat:
            return torch.full((self.num_words,), 1.0).log_softmax(0)
        seed = hash((self.seeds[study], prefix)) % 2**31
        noise = torch.randn(self.num_words, generator=torch.Generator().manual_seed(seed))
        return (self.sharpness * noise).log_softmax(0)

    def step(self, words: Tensor, origin: Tensor | None) -> Tensor:
        self.steps += 1
        if origin is None:
            self.rows = [[() for _ in row] for row in words.tolist()]
        else:
            assert origin.shape == words.shape
            self.rows = [[rows[beam] for beam in row] for rows, row in zip(self.rows, origin.tolist(), strict=True)]
        self.rows = [
            [(*prefix, word) for prefix, word in zip(rows, row, strict=True)]
            for rows, row in zip(self.rows, words.tolist(), strict=True)
        ]
        return torch.stack(
            [torch.stack([self.scores(study, prefix) for prefix in rows]) for study, rows in enumerate(self.rows)]
        )

    def keep(self, studies: Tensor) -> None:
        self.rows = [self.rows[number] for number in studies.tolist()]
        self.seeds = [self.seeds[number] for number in studies.tolist()]
