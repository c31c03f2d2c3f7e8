#!/bin/sh
# The experiments on IU X-Ray, from the films to the scorecards: sh experiments/iu_xray.sh SOURCE NIH WEIGHTS OUT [SEED ...]
#   SOURCE   folder with NLMCXR_reports.tgz, films_256/, indiana_projections.csv and R2Gen's annotation.json
#   NIH      folder of NIH ChestX-ray14 films with images.csv
#   WEIGHTS  ResNet-50 v1 weights of ImageNet, .safetensors
# Every step is skipped where it was finished and continued where it was interrupted: give the same command again.
set -eu
recipes=$(dirname "$0")/../recipes
source=$1 nih=$2 weights=$3 out=$4
shift 4
seeds=${*:-0 1 2}
mkdir -p "$out"

# Corpus, and a table of labels of each text that may teach the findings.
if [ ! -f "$out/iu/corpus.json" ]; then
    xpronet prepare iu-xray --reports "$source/NLMCXR_reports.tgz" --images "$source/films_256" \
        --projections "$source/indiana_projections.csv" --split "r2gen:$source/annotation.json" --tolerate 2 --out "$out/iu"
fi
[ -f "$out/iu/labels.csv" ] || xpronet label "$out/iu" --section findings+impression --section findings
[ -f "$out/iu/labels_findings.csv" ] || xpronet label "$out/iu" --section report --table labels_findings.csv

# First stage: the image encoder, and its features of all films.
if [ ! -f "$out/encoder/encoder.safetensors" ]; then
    resume=; [ ! -d "$out/encoder" ] || resume=--resume
    xpronet pretrain "$recipes/iu_xray_encoder.toml" --corpus "$out/iu" --out "$out/encoder" $resume \
        --set "weights=$weights" --set "nih=$nih"
fi
xpronet features "$out/iu" --recipe "$recipes/iu_xray_cpu.toml" --out "$out/features" \
    --set "weights=$out/encoder/encoder.safetensors"

# train RECIPE RUN [options]: trains, continues, or finds it finished.
train() {
    recipe=$1 run=$2
    shift 2
    resume=; [ ! -f "$run/recipe.toml" ] || resume=--resume
    xpronet train "$recipe" --corpus "$out/iu" --features "$out/features" --out "$run" $resume \
        --set "weights=$out/encoder/encoder.safetensors" "$@"
}

# Second stage: the paper's network. Third stage: the reward. Then the weight of evidence, chosen on validation studies.
for seed in $seeds; do
    words="$out/words/seed-$seed" reward="$out/reward/seed-$seed"
    train "$recipes/iu_xray_cpu.toml" "$words" --set "train.seed=$seed"
    train "$recipes/iu_xray_cpu_reward.toml" "$reward" --from "$words" --set "train.seed=$seed"
    [ -f "$reward/calibrated" ] || {
        xpronet calibrate "$reward" --corpus "$out/iu" --features "$out/features"
        touch "$reward/calibrated"
    }
    # The test split, once for each run.
    for run in "$words" "$reward"; do
        [ -f "$run/test.jsonl" ] ||
            xpronet generate "$run" --corpus "$out/iu" --features "$out/features" --out "$run/test.jsonl"
        for protocol in published-iu full-text; do
            [ -f "$run/$protocol.json" ] ||
                xpronet evaluate "$run/test.jsonl" --corpus "$out/iu" --protocol "$protocol" --out "$run/$protocol.json"
        done
    done
done
