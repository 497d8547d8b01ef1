//go:build unix

package cmd_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/train/ckpt"
)

// tensors is a safetensors file of that header and so many bytes of data.
func tensors(header string, data int) string {
	return string(binary.LittleEndian.AppendUint64(nil, uint64(len(header)))) + header + strings.Repeat("\x00", data)
}

func attacksOnTensors() []attack {
	const a = `"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	args := []string{"train", "--config", "run.yaml", "--run", "n", "--set", "init.from=bad.safetensors"}
	entry := func(dtype, shape, offsets string) string {
		return fmt.Sprintf(`{"a":{"dtype":%s,"shape":%s,"data_offsets":%s}}`, dtype, shape, offsets)
	}
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"t%d":{"dtype":"F32","shape":[0],"data_offsets":[8,8]}`, i)
		}
		return "{" + a + b.String() + "}"
	}
	files := []file{
		{name: "empty"},
		{name: "seven bytes", text: "\x08\x00\x00\x00\x00\x00\x00"},
		{name: "a length alone", text: "\x08\x00\x00\x00\x00\x00\x00\x00"},
		{name: "a length of 0", text: "\x00\x00\x00\x00\x00\x00\x00\x00"},
		{name: "a length of 2 to the 64 less 1", text: "\xff\xff\xff\xff\xff\xff\xff\xff{}"},
		{name: "a length of 2 to the 63", text: "\x00\x00\x00\x00\x00\x00\x00\x80{}"},
		{name: "a length of 1 TB", text: "\x00\x00\x00\x00\x00\x01\x00\x00{}"},
		{name: "a length beyond the file", text: "\xff\x00\x00\x00\x00\x00\x00\x00{}"},
		{name: "text", text: "hello, this is not a model\n"},
		{name: "zeros", text: strings.Repeat("\x00", 1<<20)},
		{name: "bytes", text: noise(1 << 16)},
		{name: "a pickle", text: "\x80\x02}q\x00(X\x06\x00\x00\x00weightq\x01cos\nsystem\n"},
		{name: "a zip", text: "PK\x03\x04" + strings.Repeat("\x00", 100)},
		{name: "a pointer of large files", text: "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 437\n"},
		{name: "no JSON", text: tensors("{{{{{{{{", 8)},
		{name: "a list", text: tensors("[]", 8)},
		{name: "null", text: tensors("null", 8)},
		{name: "nothing in it", text: tensors("{}", 0), lines: -1},
		{name: "no UTF-8", text: tensors("{\"\xff\":1}", 8)},
		{name: "more behind the header", text: tensors("{"+a+"}x", 8)},
		{name: "100,000 open objects", text: tensors(strings.Repeat(`{"a":`, 100000), 0)},
		{name: "a tensor twice", text: tensors("{"+a+","+a+"}", 8)},
		{name: "a tensor that is a number", text: tensors(`{"a":1}`, 8)},
		{name: "a tensor that is null", text: tensors(`{"a":null}`, 8)},
		{name: "an unknown type", text: tensors(entry(`"F7"`, "[2]", "[0,8]"), 8)},
		{name: "a type that is a number", text: tensors(entry("32", "[2]", "[0,8]"), 8)},
		{name: "a shape that is a word", text: tensors(entry(`"F32"`, `"[2]"`, "[0,8]"), 8)},
		{name: "a shape that is null", text: tensors(entry(`"F32"`, "[null]", "[0,8]"), 8)},
		{name: "a shape of fractions", text: tensors(entry(`"F32"`, "[1.5]", "[0,8]"), 8)},
		{name: "a negative shape", text: tensors(entry(`"F32"`, "[-2]", "[0,8]"), 8)},
		{name: "two negative sizes", text: tensors(entry(`"F32"`, "[-1,-2]", "[0,8]"), 8)},
		{name: "a shape that overflows", text: tensors(entry(`"F32"`, "[4294967296,4294967296,4]", "[0,8]"), 8)},
		{name: "a shape that overflows to its size", text: tensors(entry(`"F32"`, "[4611686018427387905,4,1]", "[0,16]"), 16)},
		{name: "a shape over 64 bits", text: tensors(entry(`"F32"`, "[99999999999999999999]", "[0,8]"), 8)},
		{name: "a shape of 100,000 sizes", text: tensors(entry(`"F32"`, "["+strings.Repeat("1,", 100000)+"2]", "[0,8]"), 8), lines: -1},
		{name: "negative offsets", text: tensors(entry(`"F32"`, "[2]", "[-8,0]"), 8)},
		{name: "backward offsets", text: tensors(entry(`"F32"`, "[2]", "[8,0]"), 8)},
		{name: "one offset", text: tensors(entry(`"F32"`, "[2]", "[8]"), 8)},
		{name: "three offsets", text: tensors(entry(`"F32"`, "[2]", "[0,8,16]"), 8)},
		{name: "offsets of another size", text: tensors(entry(`"F32"`, "[3]", "[0,8]"), 8)},
		{name: "offsets beyond the file", text: tensors(entry(`"F32"`, "[200]", "[0,800]"), 8)},
		{name: "offsets of 8 EB", text: tensors(entry(`"U8"`, "[9223372036854775807]", "[0,9223372036854775807]"), 8)},
		{name: "a gap", text: tensors(entry(`"F32"`, "[2]", "[8,16]"), 16)},
		{name: "tensors that overlap", text: tensors(`{`+a+`,"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12)},
		{name: "one place for two", text: tensors(`{`+a+`,"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8)},
		{name: "bytes behind it", text: tensors("{"+a+"}", 9)},
		{name: "a byte less", text: tensors("{"+a+"}", 7)},
		{name: "an unknown key", text: tensors(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}}`, 8)},
		{name: "no offsets", text: tensors(`{"a":{"dtype":"F32","shape":[2]}}`, 8)},
		{name: "metadata that is a number", text: tensors(`{"__metadata__":{"a":1},`+a+`}`, 8)},
		{name: "metadata twice", text: tensors(`{"__metadata__":{},"__metadata__":{},`+a+`}`, 8)},
		{name: "metadata that is a list", text: tensors(`{"__metadata__":[],`+a+`}`, 8)},
		{name: "a checksum of nothing", text: tensors(`{"__metadata__":{"splice.checksum":"xxh64:0"},`+a+`}`, 8)},
		{name: "another tensor", text: tensors("{"+a+"}", 8), lines: -1},
		{name: "a name with an escape sequence", text: tensors(strings.ReplaceAll("{"+a+"}", `"a"`, `"\u001b[2Ja"`), 8), lines: -1},
		{name: "a name of 1 MB", text: tensors(strings.ReplaceAll("{"+a+"}", `"a"`, `"`+strings.Repeat("n", 1<<20)+`"`), 8), lines: -1},
		{name: "50,000 tensors", text: tensors(many(50000), 8), lines: -1},
		{name: "a header of 90 MB", head: "\x00\x00\xa0\x05\x00\x00\x00\x00{", text: " ", times: 90<<20 - 2, tail: "}", lines: -1},
		{name: "a header of 120 MB", head: "\x00\x00\x80\x07\x00\x00\x00\x00{", text: " ", times: 120<<20 - 2, tail: "}"},
	}
	all := attacksWith("tensors", "rows", "bad.safetensors", args, files)
	all = append(all, attacksInPlaceOf("tensors", "rows", "bad.safetensors", args)...)
	// A merge reads files without a run.
	for _, f := range files {
		if !slices.Contains([]string{"empty", "bytes", "a shape that overflows", "tensors that overlap", "offsets beyond the file", "a length of 1 TB", "a tensor twice"}, f.name) {
			continue
		}
		all = append(all, attacksWith("merged tensors", "rows", "bad.safetensors", []string{
			"cki", "--config", "merge.yaml", "--run", "n", "--set", "merge.parents=[bad.safetensors, r/model.safetensors]",
		}, []file{f})...)
	}
	for _, n := range []struct {
		name  string
		value float32
	}{{"NaN", float32(math.NaN())}, {"infinity", float32(math.Inf(1))}} {
		all = append(all, attack{
			name: "weights/" + n.name, on: "rows", args: args, want: []string{"bad.safetensors"}, lines: -1,
			spoil: func(t testing.TB, dir string) { weights(t, dir, "r", "bad.safetensors", n.value) },
		}, attack{
			name: "weights/" + n.name + " in a merge", on: "rows", want: []string{"bad.safetensors"}, lines: -1,
			args:  []string{"cki", "--config", "merge.yaml", "--run", "n", "--set", "merge.parents=[bad.safetensors, r/model.safetensors]"},
			spoil: func(t testing.TB, dir string) { weights(t, dir, "r", "bad.safetensors", n.value) },
		}, attack{
			name: "weights/" + n.name + " in a run", on: "rows", args: []string{"evaluate", "--run", "r"}, want: []string{"r"}, lines: -1,
			spoil: func(t testing.TB, dir string) { weights(t, dir, "r", "r/model.safetensors", n.value) },
		})
	}
	return append(all, attacksOnShards()...)
}

// weights writes a run's model with a value that is none.
func weights(t testing.TB, dir, run, path string, v float32) {
	t.Helper()
	c, err := ckpt.Load(filepath.Join(dir, run, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	c.Tensors[0].Data[3] = v
	if err := ckpt.Save(filepath.Join(dir, path), c); err != nil {
		t.Fatal(err)
	}
}

// attacksOnShards are indexes of models that are cut into several files.
func attacksOnShards() []attack {
	const index = "pub/model.safetensors.index.json"
	args := []string{"finetune", "--config", "pub.yaml", "--run", "n", "--set", "train.epochs=1"}
	all := attacksWith("index.json", "texts", index, args, []file{
		{name: "empty"},
		{name: "no JSON", text: "weights"},
		{name: "a list", text: "[]"},
		{name: "null", text: "null"},
		{name: "no map", text: `{"metadata": {"total_size": 1}}`},
		{name: "a map that is a list", text: `{"weight_map": ["a"]}`},
		{name: "a map that is empty", text: `{"weight_map": {}}`},
		{name: "a shard that is a number", text: `{"weight_map": {"a": 1}}`},
		{name: "a shard that is null", text: `{"weight_map": {"a": null}}`},
		{name: "a shard that is not there", text: `{"weight_map": {"a": "none.safetensors"}}`, want: "none.safetensors"},
		{name: "a shard above", text: `{"weight_map": {"a": "../rows.tsv"}}`},
		{name: "a shard elsewhere", text: `{"weight_map": {"a": "/etc/passwd"}}`},
		{name: "a shard that is the index", text: `{"weight_map": {"a": "model.safetensors.index.json"}}`},
		{name: "a shard that is blank", text: `{"weight_map": {"a": ""}}`},
		{name: "a shard of other tensors", text: `{"weight_map": {"a": "shard.safetensors"}}`},
		{name: "a shard with an escape sequence", text: `{"weight_map": {"a": "\u001b[2J.safetensors"}}`},
		{name: "100,000 shards", text: shards(100000)},
		{name: "100,000 open lists", text: `{"x": ` + strings.Repeat("[", 100000)},
		{name: "300 MB", head: `{"weight_map": {"a": "b"}`, text: " ", times: 300 << 20, tail: "}"},
		{name: "a key twice", text: `{"weight_map": {"a": "shard.safetensors", "a": "other.safetensors"}}`},
	})
	for i := range all {
		make := all[i].spoil
		all[i].spoil = func(t testing.TB, dir string) {
			spoil(t, dir, "pub/shard.safetensors", string(read2(t, dir, "pub", "model.safetensors")))
			remove(t, dir, "pub/model.safetensors")
			make(t, dir)
		}
		all[i].want = append(all[i].want[1:], "pub")
		all[i].lines = -1
	}
	return append(all, attacksInPlaceOf("index.json", "texts", index, args)[:0]...)
}

// shards is an index of n shards.
func shards(n int) string {
	m := map[string]string{}
	for i := range n {
		m[fmt.Sprint("t", i)] = fmt.Sprintf("model-%d.safetensors", i)
	}
	b, err := json.Marshal(map[string]any{"weight_map": m})
	if err != nil {
		panic(err)
	}
	return string(b)
}
