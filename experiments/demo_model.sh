#!/bin/sh
# The small model of drawn X-rays that comes with the package, from nothing: sh experiments/demo_model.sh OUT
#   OUT   folder for corpus, run and scores; the model goes to src/xpronet/demo_model
# Twenty minutes on one core that multiplies bf16. A step that was finished is skipped: give the same command again.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
out=$1 model=$here/src/xpronet/demo_model
mkdir -p "$out"

[ -f "$out/corpus/corpus.json" ] ||
    xpronet prepare phantom --studies 6000 --seed 1 --prevalence balanced --size 128 --out "$out/corpus"
if [ ! -f "$out/run/calibrated" ]; then
    resume=; [ ! -f "$out/run/recipe.toml" ] || resume=--resume
    xpronet train "$here/recipes/phantom_small.toml" --corpus "$out/corpus" --out "$out/run" $resume
    xpronet calibrate "$out/run" --corpus "$out/corpus"
    touch "$out/run/calibrated"
fi

# What is scored is what is handed over: weights rounded to fp16.
xpronet pack "$out/run" --weights fp16 --out "$out/rounded" --overwrite
xpronet generate "$out/rounded" --corpus "$out/corpus" --out "$out/test.jsonl" --overwrite
xpronet evaluate "$out/test.jsonl" --corpus "$out/corpus" --skip-meteor --out "$out/scorecard.json" --overwrite
xpronet show prototypes "$out/rounded" --corpus "$out/corpus" --regions 2 --words 5
xpronet pack "$out/rounded" --name demo --scorecard "$out/scorecard.json" --examples \
    --command "sh experiments/demo_model.sh OUT" --out "$model" --overwrite
python -c "import pathlib, sys; from xpronet.experiment.self_check import store_check_study; \
store_check_study(pathlib.Path(sys.argv[1]))" "$model"
