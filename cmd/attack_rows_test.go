//go:build unix

package cmd_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func gzipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text)) // to memory
	_ = w.Close()
	return b.String()
}

func zstandard(text string) string {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	return string(w.EncodeAll([]byte(text), nil))
}

// zeros is a compressed file of n NULs, made without n bytes of memory.
func zeros(n int) string {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b)
	if err != nil {
		panic(err)
	}
	block := make([]byte, 1<<20)
	for range n >> 20 {
		_, _ = w.Write(block)
	}
	_ = w.Close()
	return b.String()
}

// window is a zstd frame that asks for a window of 2^n bytes.
func window(n byte) string {
	return "\x28\xb5\x2f\xfd\x00" + string([]byte{(n - 10) << 3}) + "\x01\x00\x00"
}

func attacksOnRows() []attack {
	row := "1" + strings.Repeat("\t3", 13) + strings.Repeat("\tab", 26) + "\n"
	good := strings.Repeat(row+"0"+row[1:], 30)
	criteo := attacksWith("criteo", "rows", "bad.tsv", []string{"train", "--config", "run.yaml", "--run", "n", "--set", "data.path=bad.tsv"}, []file{
		{name: "empty"},
		{name: "a line end", text: "\n"},
		{name: "blank lines", text: strings.Repeat("\n", 1000)},
		{name: "blanks", text: strings.Repeat(" ", 1000)},
		{name: "one row", text: row, want: "split"},
		{name: "a NUL", text: good + strings.Replace(row, "ab", "a\x00b", 1), want: "bad.tsv:61"},
		{name: "NULs", text: strings.Repeat("\x00", 1<<20)},
		{name: "no UTF-8", text: good + strings.Replace(row, "ab", "\xff", 1), want: "bad.tsv:61"},
		{name: "UTF-16", text: "\xff\xfe1\x00\t\x002\x00\n\x00"},
		{name: "UTF-16 the other way", text: "\xfe\xff\x001\x00\t"},
		{name: "a byte order mark", text: "\ufeff" + good, takes: true},
		{name: "CRLF", text: strings.ReplaceAll(good, "\n", "\r\n"), takes: true},
		{name: "CR", text: strings.ReplaceAll(good, "\n", "\r")},
		{name: "no end of the last line", text: strings.TrimSuffix(good, "\n"), takes: true},
		{name: "a column less", text: good + strings.TrimSuffix(row, "\tab\n") + "\n", want: "bad.tsv:61"},
		{name: "a column more", text: good + strings.TrimSuffix(row, "\n") + "\tab\n", want: "bad.tsv:61"},
		{name: "half a row", text: good + row[:20], want: "bad.tsv:61"},
		{name: "a header", text: "label\tI1\n" + good},
		{name: "commas", text: strings.ReplaceAll(good, "\t", ",")},
		{name: "a label of 2", text: good + "2" + row[1:], want: "bad.tsv:61"},
		{name: "a blank label", text: good + row[1:], want: "bad.tsv:61"},
		{name: "a label that is NaN", text: good + "nan" + row[1:], want: "bad.tsv:61"},
		{name: "a label that is a word", text: good + "\x1b[31myes" + row[1:], want: "bad.tsv:61"},
		{name: "a count that is a word", text: good + strings.Replace(row, "3", "many", 1), want: "I1"},
		{name: "a count that is NaN", text: good + strings.Replace(row, "3", "NaN", 1), want: "I1"},
		{name: "a count that is infinite", text: good + strings.Replace(row, "3", "Inf", 1), want: "I1"},
		{name: "a count over float32", text: good + strings.Replace(row, "3", "1e39", 1), want: "I1"},
		{name: "a count of a large exponent", text: good + strings.Replace(row, "3", "1e999999999", 1), want: "I1"},
		{name: "a count of 100,000 digits", text: good + strings.Replace(row, "3", strings.Repeat("9", 100000), 1), want: "I1"},
		{name: "a hexadecimal count", text: good + strings.Replace(row, "3", "0x10", 1), want: "I1"},
		{name: "a cell of 2 MB", text: good + strings.Replace(row, "ab", strings.Repeat("x", 2<<20), 1), want: "bad.tsv:61"},
		{name: "a line of 50 MB", text: "x", times: 50 << 20},
		{name: "a cell of 900 KB", text: good + strings.Replace(row, "ab", strings.Repeat("x", 900<<10), 1), fine: true},
		{name: "half a million tabs", text: strings.Repeat("\t", 500000) + "\n"},
		{name: "one class", text: strings.Repeat(row, 60), want: "validation"},
		{name: "gzip by another name", text: gzipped(good)},
		{name: "zstd by another name", text: zstandard(good)},
		{name: "zip by another name", text: "PK\x03\x04" + strings.Repeat("\x00", 100)},
		{name: "a model", text: "\x10\x00\x00\x00\x00\x00\x00\x00{\"a\": 1}        " + strings.Repeat("\x00", 100)},
		{name: "HTML", text: "<!DOCTYPE html>\n<html><body>404</body></html>\n"},
		{name: "JSON lines", text: "{\"label\": 1}\n"},
	})
	compressed := func(name string, files []file) []attack {
		return attacksWith(name, "rows", "bad.tsv."+name, []string{"train", "--config", "run.yaml", "--run", "n", "--set", "data.path=bad.tsv." + name}, files)
	}
	z, g := zstandard(good), gzipped(good)
	flip := func(s string, at int) string { return s[:at] + string([]byte{s[at] ^ 0x10}) + s[at+1:] }
	zst := compressed("zst", []file{
		{name: "empty"},
		{name: "text", text: good},
		{name: "gzip", text: g},
		{name: "its magic alone", text: "\x28\xb5\x2f\xfd"},
		{name: "cut off", text: z[:len(z)/2]},
		{name: "without its end", text: z[:len(z)-1]},
		{name: "a flipped bit", text: flip(z, len(z)/2)},
		{name: "a flipped bit of the checksum", text: flip(z, len(z)-2)},
		{name: "more behind it", text: z + "more"},
		{name: "two frames", text: z + z, takes: true},
		{name: "a frame that is skipped", text: "\x50\x2a\x4d\x18\x04\x00\x00\x00abcd" + z, takes: true},
		{name: "a frame that is skipped and cut off", text: "\x50\x2a\x4d\x18\xff\xff\xff\xffabcd"},
		{name: "a window of 2 GB", text: window(31)},
		{name: "a window of 1 TB", text: window(40)},
		{name: "a bomb", text: zeros(1 << 30)},
		{name: "nothing in it", text: zstandard("")},
		{name: "compressed twice", text: zstandard(z)},
		{name: "bytes", text: strings.Repeat("\x28\xb5\x2f\xfd\xff", 1000)},
	})
	gz := compressed("gz", []file{
		{name: "empty"},
		{name: "text", text: good},
		{name: "zstd", text: z},
		{name: "its magic alone", text: "\x1f\x8b"},
		{name: "cut off", text: g[:len(g)/2]},
		{name: "without its end", text: g[:len(g)-1]},
		{name: "a flipped bit", text: flip(g, len(g)/2)},
		{name: "a flipped bit of the checksum", text: flip(g, len(g)-6)},
		{name: "more behind it", text: g + "more"},
		{name: "two members", text: g + g, takes: true},
		{name: "a bomb", text: strings.Repeat(gzipped(strings.Repeat("\x00", 8<<20)), 25)},
		{name: "compressed twice", text: gzipped(g)},
	})
	head := "y,a,n,t\n"
	body := strings.Repeat("1,x,2,p\n0,y,3,q\n", 40)
	csv := attacksWith("csv", "rows", "rows.csv", []string{"train", "--config", "csv.yaml", "--run", "n"}, []file{
		{name: "empty"},
		{name: "a header alone", text: head},
		{name: "a header without an end", text: "y,a,n,t"},
		{name: "no header", text: body},
		{name: "a header twice", text: head + head + body, want: "rows.csv:2"},
		{name: "a column twice", text: "y,a,a,t\n" + body},
		{name: "a column without a name", text: "y,a,n,\n" + body},
		{name: "a column more", text: "y,a,n,t,z\n" + strings.ReplaceAll(body, "\n", ",1\n"), want: "z"},
		{name: "a column less", text: "y,a,n\n" + body, want: "t"},
		{name: "no label", text: "z,a,n,t\n" + body, want: "y", lines: -1},
		{name: "a cell more", text: head + body + "1,x,2,p,9\n", want: "rows.csv:82"},
		{name: "a cell less", text: head + body + "1,x\n", want: "rows.csv:82"},
		{name: "an open quote", text: head + body + "1,\"x,2,p\n" + body, want: "rows.csv:82"},
		{name: "an open quote at the end", text: head + body + "1,\"", want: "rows.csv:82"},
		{name: "text behind a quote", text: head + body + "1,\"x\"z,2,p\n", want: "rows.csv:82"},
		{name: "a quote in a cell", text: head + body + "1,x\"z,2,p\n", want: "rows.csv:82"},
		{name: "a quote over 5 MB", head: head + body + "1,\"", text: "line\n", times: 1 << 20, tail: "\",2,p\n", want: "rows.csv:82"},
		{name: "quotes", text: strings.Repeat("\"", 100001)},
		{name: "CR", text: strings.ReplaceAll(head+body, "\n", "\r")},
		{name: "a NUL in the header", text: "y,a\x00,n,t\n" + body},
		{name: "an escape sequence in the header", text: "y,a,\x1b[2J,t\n" + body},
		{name: "100,000 columns", text: head[:7] + columns(100000) + "\n" + body},
		{name: "a list of 100,000", text: head + body + "1,x,2," + strings.Repeat("p|", 100000) + "p\n", takes: true},
		{name: "a number with a comma", text: head + body + "1,x,\"2,5\",p\n", want: "rows.csv:82"},
		{name: "a number with a blank", text: head + body + "1,x, 2,p\n", want: "rows.csv:82"},
		{name: "a label that is a word", text: head + body + "yes,x,2,p\n", want: "rows.csv:82"},
		{name: "semicolons", text: strings.ReplaceAll(head+body, ",", ";")},
		{name: "one class", text: head + strings.Repeat("1,x,2,p\n", 50), fine: true},
		{name: "random bytes", text: "y,a,n,t\n" + noise(1<<16)},
	})
	fm := attacksWith("libfm", "rows", "rows.libfm", []string{"train", "--config", "fm.yaml", "--run", "n"}, []file{
		{name: "empty"},
		{name: "a label alone", text: "1\n"},
		{name: "no label", text: strings.Repeat("2:1 7:0.5\n", 10)},
		{name: "a word", text: "1 2:1 7:0.5\n1 a:1 7:0.5\n", want: "rows.libfm:2"},
		{name: "no value", text: "1 2:1 7:0.5\n1 2: 7:0.5\n", want: "rows.libfm:2"},
		{name: "no index", text: "1 2:1 7:0.5\n1 :1 7:0.5\n", want: "rows.libfm:2"},
		{name: "no colon", text: "1 2:1 7:0.5\n1 2 7:0.5\n", want: "rows.libfm:2"},
		{name: "three parts", text: "1 2:1 7:0.5\n1 2:1:1 7:0.5\n", want: "rows.libfm:2"},
		{name: "a value of 2", text: "1 2:1 7:0.5\n1 2:2 7:0.5\n", want: "rows.libfm:2"},
		{name: "a value that is NaN", text: "1 2:1 7:0.5\n1 2:1 7:nan\n", want: "rows.libfm:2"},
		{name: "a field more", text: "1 2:1 7:0.5\n1 2:1 7:1 8:1\n", want: "rows.libfm:2"},
		{name: "a field less", text: "1 2:1 7:0.5\n1 2:1\n", want: "rows.libfm:2"},
		{name: "a label of 2", text: "1 2:1 7:0.5\n2 2:1 7:1\n", want: "rows.libfm:2"},
		{name: "a large index", text: strings.Repeat("1 99999999999999999999999999:1 7:0.5\n0 -1:1 7:1\n", 9), want: "rows.libfm:2"},
		{name: "200,000 fields", text: "1" + strings.Repeat(" 1:1", 200000) + "\n", fine: true},
		{name: "a comment", text: "# 1\n1 2:1 7:0.5\n"},
	})
	predict := attacksWith("predict", "rows", "in.tsv", []string{"predict", "--run", "r", "--in", "in.tsv", "--out", "out.txt"}, []file{
		{name: "a column less", text: good + "1\t2\n", want: "in.tsv:61"},
		{name: "a NUL", text: good + "\x00\n", want: "in.tsv:61"},
		{name: "empty", fine: true},
		{name: "a word", text: good + strings.Replace(row, "3", "many", 1), want: "in.tsv:61"},
		{name: "50 MB without a line end", text: "1\t", times: 25 << 20},
	})
	for i := range criteo {
		if n := criteo[i].name; n == "criteo/one row" || n == "criteo/one class" {
			criteo[i].want = criteo[i].want[1:] // every row is good
		}
	}
	for i := range csv {
		csv[i].lines = -1 // every column that is not as the config says is told, one a line
	}
	all := append(append(append(append(append(criteo, zst...), gz...), csv...), fm...), predict...)
	for _, path := range []string{"bad.tsv", "bad.tsv.gz", "bad.tsv.zst"} {
		kind := map[string]string{"bad.tsv": "criteo", "bad.tsv.gz": "gz", "bad.tsv.zst": "zst"}[path]
		all = append(all, attacksInPlaceOf(kind, "rows", path, []string{"train", "--config", "run.yaml", "--run", "n", "--set", "data.path=" + path})...)
	}
	return append(all, attacksInPlaceOf("csv", "rows", "rows.csv", []string{"train", "--config", "csv.yaml", "--run", "n"})...)
}

// columns lists n names of columns.
func columns(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ",c%d", i)
	}
	return b.String()
}

// names lists n files that are not there.
func names(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "none%d.tsv, ", i)
	}
	return strings.TrimSuffix(b.String(), ", ")
}

// noise is n bytes without a pattern, always the same ones.
func noise(n int) string {
	b := make([]byte, n)
	x := uint64(88172645463325252)
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x)
	}
	return string(b)
}

func attacksOnTexts() []attack {
	good := strings.Repeat("the film was dull\t0\nthe film was funny\t1\n", 30)
	head := "sentence\tlabel\n"
	run := func(name string, set ...string) []string {
		args := []string{"train", "--config", "run.yaml", "--run", "n", "--set", "train.epochs=1", "--set", "data.path=" + name}
		for _, s := range set {
			args = append(args, "--set", s)
		}
		return args
	}
	tsv := attacksWith("tsv", "texts", "bad.tsv", run("bad.tsv"), []file{
		{name: "empty"},
		{name: "a header alone", text: head},
		{name: "no header", text: good},
		{name: "no label", text: "sentence\n" + "a\nb\n"},
		{name: "a label of no class", text: head + good + "x\t2\n", want: "bad.tsv:62"},
		{name: "a label that is a word", text: head + good + "x\tawful\x1b[0m\n", want: "bad.tsv:62"},
		{name: "a blank label", text: head + good + "x\t\n", want: "bad.tsv:62"},
		{name: "a cell less", text: head + good + "x\n", want: "bad.tsv:62"},
		{name: "a cell more", text: head + good + "x\t1\t1\n", want: "bad.tsv:62"},
		{name: "a NUL", text: head + good + "x\x00\t1\n", want: "bad.tsv:62"},
		{name: "bytes that are no UTF-8", text: head + good + "\xff\xfe\t1\n", takes: true},
		{name: "a text of 2 MB", text: head + good + strings.Repeat("x ", 1<<20) + "\t1\n", want: "bad.tsv:62"},
		{name: "a word of 900 KB", text: head + good + strings.Repeat("x", 900<<10) + "\t1\n", takes: true},
		{name: "500,000 combining marks", text: head + good + "e" + strings.Repeat("\u0301", 500000) + "\t1\n", takes: true},
		{name: "300,000 characters of a word each", text: head + good + strings.Repeat("中", 300000) + "\t1\n", takes: true},
		{name: "characters that are not assigned", text: head + good + "\U000e0001\U0010ffff\ue000\t1\n", takes: true},
		{name: "text that is turned round", text: head + good + "\u202eabc\u202c\t1\n", takes: true},
		{name: "CR", text: strings.ReplaceAll(head+good, "\n", "\r")},
		{name: "UTF-16", text: "\xff\xfes\x00e\x00"},
		{name: "a column twice", text: "sentence\tsentence\n" + good},
	})
	csv := attacksWith("text csv", "texts", "bad.csv", run("bad.csv"), []file{
		{name: "an open quote", text: "sentence,label\n" + strings.Repeat("a,1\nb,0\n", 30) + "\"a,1\n", want: "bad.csv:62"},
		{name: "quotes", text: strings.Repeat("\"", 9999)},
		{name: "ragged", text: "sentence,label\na,1\nb,0,c\n", want: "bad.csv:3"},
		{name: "a header alone", text: "sentence,label\n"},
	})
	ok := strings.Repeat("{\"sentence\": \"dull\", \"label\": 0}\n{\"sentence\": \"fun\", \"label\": 1}\n", 30)
	jsonl := attacksWith("json lines", "texts", "bad.jsonl", run("bad.jsonl"), []file{
		{name: "empty"},
		{name: "a list", text: "[1, 2]\n"},
		{name: "a word", text: "hello\n"},
		{name: "a number", text: "7\n"},
		{name: "null", text: "null\n"},
		{name: "open", text: ok + "{\"sentence\": \"a\n", want: "bad.jsonl:61"},
		{name: "two objects a line", text: ok + "{\"sentence\": \"a\", \"label\": 1}{}\n", want: "bad.jsonl:61"},
		{name: "over two lines", text: ok + "{\"sentence\": \"a\",\n\"label\": 1}\n", want: "bad.jsonl:61"},
		{name: "a text that is null", text: ok + "{\"sentence\": null, \"label\": 1}\n", want: "bad.jsonl:61"},
		{name: "a text that is a number", text: ok + "{\"sentence\": 7, \"label\": 1}\n", want: "bad.jsonl:61"},
		{name: "a text that is a list", text: ok + "{\"sentence\": [\"a\"], \"label\": 1}\n", want: "bad.jsonl:61"},
		{name: "a label that is an object", text: ok + "{\"sentence\": \"a\", \"label\": {\"a\": 1}}\n", want: "bad.jsonl:61"},
		{name: "a label that is null", text: ok + "{\"sentence\": \"a\", \"label\": null}\n", want: "bad.jsonl:61"},
		{name: "a label that is true", text: ok + "{\"sentence\": \"a\", \"label\": true}\n", want: "bad.jsonl:61"},
		{name: "a label that is large", text: ok + "{\"sentence\": \"a\", \"label\": 1e400}\n", want: "bad.jsonl:61"},
		{name: "no text", text: ok + "{\"label\": 1}\n", want: "bad.jsonl:61"},
		{name: "a key twice", text: ok + "{\"sentence\": \"a\", \"sentence\": \"b\", \"label\": 1}\n", want: "bad.jsonl:61", fine: true},
		{name: "half a surrogate", text: ok + "{\"sentence\": \"\\ud800\", \"label\": 1}\n", takes: true},
		{name: "an escaped NUL", text: ok + "{\"sentence\": \"a\\u0000b\", \"label\": 1}\n", fine: true},
		{name: "100,000 open lists", text: ok + strings.Repeat("[", 100000) + "\n", want: "bad.jsonl:61"},
		{name: "100,000 lists in a field", text: ok + "{\"x\": " + strings.Repeat("[", 100000) + strings.Repeat("]", 100000) + ", \"sentence\": \"a\", \"label\": 1}\n", fine: true},
		{name: "a file that is one list", text: "[" + strings.ReplaceAll(strings.TrimSuffix(ok, "\n"), "\n", ",") + "]"},
		{name: "a file that is spread over lines", text: "[\n{\n\"sentence\": \"a\",\n\"label\": 1\n}\n]\n"},
		{name: "a label of no class", text: ok + "{\"sentence\": \"a\", \"label\": 5}\n", want: "bad.jsonl:61"},
	})
	lines := attacksWith("lines", "texts", "bad.txt", []string{
		"train", "--config", "run.yaml", "--run", "n", "--set", "data={type: text, path: bad.txt, mask_rate: 0.15, max_length: 16}",
		"--set", "task=masked_lm", "--set", "train.epochs=1",
	}, []file{
		{name: "empty"},
		{name: "blank lines", text: strings.Repeat("\n", 1000)},
		{name: "NULs", text: strings.Repeat("\x00\n", 1000)},
		{name: "a line of 3 MB", text: strings.Repeat("a ", 3<<19) + "\n"},
	})
	pairs := attacksWith("pairs", "texts", "bad.tsv", run("bad.tsv", "data.text_pair=other"), []file{
		{name: "no second text", text: head + good},
		{name: "a blank second text", text: "sentence\tother\tlabel\n" + strings.Repeat("a\t\t1\nb\t\t0\n", 20), takes: true},
		{name: "a second text less", text: "sentence\tother\tlabel\n" + strings.Repeat("a\tb\t1\nb\tb\t0\n", 20) + "a\t1\n", want: "bad.tsv:42"},
	})
	for i := range pairs {
		if pairs[i].takes {
			pairs[i].args = append(pairs[i].args, "--set", "train.batch_size=4")
		}
	}
	predict := attacksWith("predict texts", "texts", "in.tsv", []string{"predict", "--run", "base", "--in", "in.tsv", "--out", "out.txt"}, []file{
		{name: "no column", text: "text\nx\n"},
		{name: "a NUL", text: "sentence\nx\x00\n", want: "in.tsv:2"},
		{name: "no header", text: "x\ny\n"},
		{name: "empty", fine: true},
		{name: "an escape sequence", text: "\x1b[2Jsentence\nx\n"},
	})
	return append(append(append(append(append(append(tsv, csv...), jsonl...), lines...), pairs...), predict...),
		attacksInPlaceOf("tsv", "texts", "bad.tsv", run("bad.tsv"))...)
}

// attacksOnFiles are several files, or files that are not what their name says.
func attacksOnFiles() []attack {
	text := func(path, from string) func(testing.TB, string) {
		return func(t testing.TB, dir string) {
			b, err := os.ReadFile(dir + "/" + from)
			if err != nil {
				t.Fatal(err)
			}
			spoil(t, dir, path, string(b))
		}
	}
	train := func(paths string) []string {
		return []string{"train", "--config", "run.yaml", "--run", "n", "--set", "data.path=" + paths}
	}
	return []attack{
		{name: "files/of other layouts", on: "rows", args: train("[rows.tsv, rows.csv]"), want: []string{"rows.csv"}},
		{name: "files/one that is not there", on: "rows", args: train("[rows.tsv, none.tsv]"), want: []string{"none.tsv"}},
		{name: "files/a pattern that has a directory", on: "rows", args: train("\"*\""), lines: -1},
		{name: "files/a file twice", on: "rows", args: train("[rows.tsv, rows.tsv]"), fine: true},
		{name: "files/5,000 that are not there", on: "rows", args: train("[" + names(5000) + "]"), want: []string{"none7.tsv"}, lines: -1},
		{name: "files/one of csv with other columns", on: "rows", args: []string{
			"train", "--config", "csv.yaml", "--run", "n", "--set", "data.path=[rows.csv, other.csv]",
		}, spoil: func(t testing.TB, dir string) { spoil(t, dir, "other.csv", "a,y,n,z\n1,1,1,1\n") }, want: []string{"other.csv"}},
		{name: "files/one of csv with other places", on: "rows", args: []string{
			"train", "--config", "csv.yaml", "--run", "n", "--set", "data.path=[rows.csv, other.csv]",
		}, spoil: func(t testing.TB, dir string) { spoil(t, dir, "other.csv", "a,y,t,n\nx,1,p,1\n") }, fine: true, want: []string{"other.csv"}},
		{name: "files/valid that is the training's", on: "rows", spoil: text("v.tsv", "rows.csv"), args: append(train("rows.tsv"),
			"--set", "data.split={}", "--set", "data.valid_path=v.tsv"), want: []string{"v.tsv"}},
	}
}
