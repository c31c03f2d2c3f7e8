"""Table 1 by one command: rows on one encoder, what each row says of itself, and going on where it stopped."""

from pathlib import Path

import pytest

from xpronet.cli import run
from xpronet.errors import InputError
from xpronet.evaluation.scoring import RETRIEVAL
from xpronet.experiment.recipe import Recipe, read_recipe, shipped_recipe
from xpronet.experiment.rivals import BASELINES, choose_rivals, rival_rows
from xpronet.files import read_json
from xpronet.model.build import BUILT_IN
from xpronet.rivals.catalogue import CATALOGUE

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture(scope="module")
def command(tiny_recipe_text: str, phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("rivals")
    (folder / "tiny.toml").write_text(tiny_recipe_text)
    out = folder / "table"
    options = ["--only", "xpronet", "adaatt", "--skip-meteor", "--set", "train.epochs=1", "--set", "generate.beams=2"]
    return ["rivals", str(folder / "tiny.toml"), "--corpus", str(phantom_folder), "--out", str(out), *options]


@pytest.fixture(scope="module")
def table(command: list[str]) -> Path:
    assert run(command) == 0
    return Path(command[command.index("--out") + 1])


def test_every_row_says_what_it_is(table: Path) -> None:
    record = read_json(table / "table.json")
    ours, rival = record["variants"]
    assert (ours["name"], rival["name"]) == ("XProNet", "ADAATT")
    assert ours["notes"]["findings_from"] == "its own predictions"
    assert rival["notes"]["findings_from"].startswith("none")
    assert rival["notes"]["exactness"] == "exact"
    assert {row["name"] for row in record["constants"]} == set(BASELINES)
    assert RETRIEVAL in BASELINES
    assert all("BLEU-4" in row["scores"] and "macro-F1 of 13" in row["scores"] for row in record["constants"])
    page = (table / "table.md").read_text()
    assert "| ADAATT | none: it uses no findings | exact |" in page


def test_all_rows_have_the_same_frozen_encoder(table: Path) -> None:
    recipes = [read_recipe(table / row / "seed-1" / "recipe.toml") for row in ("xpronet", "adaatt")]
    assert {recipe.weights for recipe in recipes} == {str(table / "encoder.safetensors")}
    assert {recipe.features for recipe in recipes} == {str(table / "features")}
    assert all(recipe.train.freeze_backbone and recipe.train.epochs == 1 for recipe in recipes)
    assert [recipe.model.name for recipe in recipes] == ["xpronet", "adaatt"]


def test_what_is_finished_is_not_repeated(command: list[str], table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in table.glob("*/*/*") if path.is_file()}
    assert run(command) == 0
    assert {path: path.stat().st_mtime_ns for path in table.glob("*/*/*") if path.is_file()} == before
    out = capsys.readouterr().out
    assert "ADAATT, seed 1: " in out
    assert out.count("(was finished before)") == 2


def test_an_unknown_row_is_refused_by_name(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command, "--only", "gru"]) == 2
    assert "--only gru: no such row; choose from xpronet, " in capsys.readouterr().err


def test_every_built_in_model_has_notes_and_a_recipe(tiny_recipe: Recipe) -> None:
    assert set(BUILT_IN) <= set(CATALOGUE)
    for base in ("phantom", "iu_xray_cpu"):
        recipe = read_recipe(RECIPES / f"{base}.toml")
        rows = rival_rows(recipe, choose_rivals(), stem=base)
        names = [row.model.name for row in rows.recipes.values()]
        assert names == ["xpronet", "xpronet", "xpronet", *BUILT_IN]
        assert len({row.train.best_by for row in rows.recipes.values()}) == 1
        for name in BUILT_IN:
            alone = read_recipe(shipped_recipe(f"rivals/{base}_{name}"))
            row = rows.recipes[CATALOGUE[name].title]
            assert (RECIPES / "rivals" / f"{name}.toml").read_text().startswith(f"# {CATALOGUE[name].exactness}: ")
            assert (alone.model, alone.train.learning_rate) == (row.model, row.train.learning_rate)


def test_prototypes_of_a_rival_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "st.toml"
    path.write_text('[model]\nname = "st"\n')
    with pytest.raises(InputError, match=r"st\.toml: model\.visible = 'findings': st has no prototypes"):
        read_recipe(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("maxout = 1", "model.options.maxout = 1; a value of type bool"),
        ("maxot = true", "unknown key model.options.maxot; did you mean model.options.maxout?"),
        ("raw_regions = true", "model.options.raw_regions = true: st embeds its regions"),
        ("dropout = 1.5", "model.options.dropout = 1.5: must be at least 0"),
    ],
)
def test_wrong_options_are_one_line(
    options: str, message: str, tmp_path: Path, phantom_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "st.toml"
    path.write_text(f'[model]\nname = "st"\nvisible = "none"\n[model.options]\n{options}\n')
    assert run(["train", str(path), "--corpus", str(phantom_folder), "--out", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err
