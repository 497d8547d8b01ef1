//go:build unix

package cmd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// wrongReasons are what a file that cannot be read is not: missing, or of wrong content.
var wrongReasons = []string{
	"has no ", "neither", "damaged", "truncated", "no such", "not a run", "there is no ", "no run", "no file", "no tokenizer", "not of a merge",
	"SYNTHETIC", "start anew", "bad header", "checksum",
}

// TestUnreadable puts a link that leads to itself in the place of each file that commands load: they say what the system says of it, and
// do not take it for a file that is not there or is damaged.
func TestUnreadable(t *testing.T) {
	dir := workspace(t, 1500)
	small := []string{"--set", "train.epochs=1", "--quiet"}
	train(t, dir, "r", small...)
	train(t, dir, "b", append(small, "--set", "seed=2")...)
	write(t, dir, "merge.yaml", "run: m\nmerge: {parents: [r, b], report: false, finetune: {epochs: 0}}\n")
	text := filepath.Join(dir, "text")
	if err := os.Mkdir(text, 0o777); err != nil {
		t.Fatal(err)
	}
	writeTextspace(t, text)
	write(t, text, "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nfilm\n")
	write(t, dir, "glob.yaml", strings.Replace(config, "path: rows.tsv", "path: [rows.d/*.tsv]", 1))
	write(t, dir, "rows.d", "not a directory\n")
	write(t, dir, "words.yaml", "data: {type: text, path: [rows.d/*.tsv], tokenizer: text, text: sentence, label: label, labels: [bad, good], fallback: synthetic}\n"+
		"model: {type: bert}\ntask: {type: classification}\ntrain: {epochs: 1}\n")
	evaluate, predict := "evaluate --run r", "predict --run r --in rows.tsv --out -"
	finetune, resume := "finetune --from r --run f", "train --config run.yaml --run r --resume --set train.epochs=1"
	again, merge := "train --config run.yaml --run r --overwrite", "cki --config merge.yaml"
	for _, tc := range []struct {
		file     string
		commands []string
	}{
		{"r/config.yaml", []string{evaluate, predict, finetune, resume, again}},
		{"r/model.safetensors", []string{evaluate, predict, finetune, resume, merge}},
		{"r/features.json.zst", []string{evaluate, predict, finetune, merge}},
		{"r/counts.safetensors", []string{merge}},
		{"r/last/state.json", []string{resume, "finetune --from r --run f --set init.checkpoint=last"}},
		{"r/ema.safetensors", []string{"finetune --from r --run f --set init.checkpoint=ema"}},
		{"rows.tsv", []string{"train --config run.yaml --run new", predict}},
		{"text/vocab.txt", []string{"train --config text/run.yaml --run new --set data.path=text/rows.tsv --set data.tokenizer=text"}},
		{"new", []string{"finetune --from new --run f"}},
		{"", []string{"train --config glob.yaml --run new", "train --config words.yaml --run new"}},
	} {
		path := filepath.Join(dir, filepath.FromSlash(tc.file))
		if tc.file != "" {
			if err := os.Rename(path, path+".kept"); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Base(path), path); err != nil {
				t.Skip(err)
			}
		}
		for _, line := range tc.commands {
			args := strings.Fields(line)
			o := execute(t, dir, args[0], args[1:]...)
			if o.code != 1 && o.code != 2 || !strings.Contains(o.stderr, "too many levels of symbolic links") && !strings.Contains(o.stderr, "not a directory") {
				t.Errorf("%s cannot be read: %s: exit %d with\n%s", tc.file, line, o.code, o.stderr)
			}
			for _, reason := range wrongReasons {
				if strings.Contains(o.stderr, reason) {
					t.Errorf("%s cannot be read: %s says that it %s:\n%s", tc.file, line, reason, o.stderr)
				}
			}
		}
		if tc.file != "" {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(path+".kept", path); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
		}
	}
}
