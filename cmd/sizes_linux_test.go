package cmd_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data/datatest"
	"github.com/splice-ml/splice/data/memory"
)

// sized is an option that is a whole number, and a small config that has it.
type sized struct {
	command string // train or cki
	config  string
	key     string // dotted
	set     []string
	list    bool
	wide    bool // of 64 bits
}

// sizeBases are small configs by the data they are about.
var sizeBases = map[string]string{
	"criteo": config,
	"csv": `data: {type: csv, path: rows.csv, label: y, columns: {a: categorical, b: {type: multi, separator: " "}, c: numeric}, split: {ratio: [.5, .5]}}
model: {type: fm, embedding_dim: 2}
train: {batch_size: 8, epochs: 1}
`,
	"parquet": `data: {type: parquet, path: rows.parquet, label: y, columns: {a: categorical, b: {type: multi, separator: " "}, c: numeric}, split: {ratio: [.5, .5]}}
model: {type: fm, embedding_dim: 2}
train: {batch_size: 8, epochs: 1}
`,
	"libfm": `data: {type: libfm, path: rows.libfm, split: {ratio: [.5, .5]}}
model: {type: fm, embedding_dim: 2}
train: {batch_size: 8, epochs: 1}
`,
	"frappe": `data: {type: frappe, path: rows.frappe, split: {ratio: [.5, .5]}}
model: {type: fm, embedding_dim: 2}
train: {batch_size: 8, epochs: 1}
`,
	"tastes": `data: {type: tastes, users: 20, items: 20, rows: 500, split: {ratio: [.5, .5]}}
model: {type: fm, embedding_dim: 2}
train: {batch_size: 8, epochs: 1}
`,
	"likes": `data: {type: likes, users: 20, items: 20, rows: 500, split: {ratio: [.5, .5]}}
model: {type: shared_bottom, embedding_dim: 2, bottom_hidden_units: [4]}
task: {type: multi_task, tasks: [{label: click}, {label: like}]}
train: {batch_size: 8, epochs: 1}
`,
	"interactions": `data: {type: interactions, path: rows.seq, layout: sequences, max_len: 4, negatives: 2, eval_negatives: 3}
model: {type: gru4rec, embedding_dim: 2}
train: {batch_size: 8, epochs: 1}
`,
	"synthetic_interactions": `data: {type: synthetic_interactions, users: 30, items: 40, actions: 5, max_len: 4, negatives: 2, eval_negatives: 3}
model: {type: gru4rec, embedding_dim: 2}
train: {batch_size: 8, epochs: 1}
`,
	"text": `data: {type: text, path: rows.txt, format: tsv, label: y, text: s, labels: [a, b], max_length: 16, vocab_size: 60, split: {ratio: [.5, .5]}}
model: {type: bert, hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 8, max_position_embeddings: 32}
task: classification
train: {batch_size: 8, epochs: 1}
`,
	"reviews": `data: {type: reviews, train: 40, valid: 20, test: 20, max_length: 16, vocab_size: 60}
model: {type: bert, hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 8, max_position_embeddings: 32}
task: classification
train: {batch_size: 8, epochs: 1}
`,
	"glue": `data: {type: glue, task: sst2, path: glue, max_length: 16, vocab_size: 60}
model: {type: bert, hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 8, max_position_embeddings: 32}
task: classification
train: {batch_size: 8, epochs: 1}
`,
	"merge": `data: {type: tastes, users: 20, items: 20, rows: 300, split: {ratio: [.5, .25, .25]}}
model: {type: mlp, embedding_dim: 2, hidden_units: [4]}
train: {batch_size: 8, epochs: 1}
merge: {regime: {type: independent}, finetune: {epochs: 0}, report: false}
`,
}

// sizeFiles writes the rows that they read.
func sizeFiles(t *testing.T, dir string) {
	t.Helper()
	var csv, libfm, frappe, text, log strings.Builder
	var rows []map[string]any
	csv.WriteString("y,a,b,c\n")
	frappe.WriteString("user\titem\tcnt\tdaytime\tweekday\tisweekend\thomework\tcost\tweather\tcountry\tcity\n")
	text.WriteString("y\ts\n")
	for i := range 60 {
		rows = append(rows, map[string]any{"y": int64(i % 2), "a": fmt.Sprint("a", i%7), "b": fmt.Sprint("x y", i%5), "c": int64(i)})
		fmt.Fprintf(&csv, "%d,a%d,x y%d,%d\n", i%2, i%7, i%5, i)
		fmt.Fprintf(&libfm, "%d %d:1 %d:1\n", i%2, i%7, 10+i%5)
		fmt.Fprintf(&frappe, "u%d\ti%d\t1\tmorning\tmonday\tweekday\thome\tfree\tsunny\tSpain\t%d\n", i%7, i, i%3)
		fmt.Fprintf(&text, "%c\tsome words of row %d\n", 'a'+i%2, i)
	}
	for u := range 20 {
		fmt.Fprintf(&log, "u%d i%d i%d i%d i%d\n", u, u%7, u%11, u%13, u%5)
	}
	write(t, dir, "rows.seq", log.String())
	write(t, dir, "rows.csv", csv.String())
	columns := parquet.Group{"y": parquet.Int(64), "a": parquet.String(), "b": parquet.String(), "c": parquet.Int(64)}
	datatest.WriteParquet(t, filepath.Join(dir, "rows.parquet"), columns, rows)
	write(t, dir, "rows.libfm", libfm.String())
	write(t, dir, "rows.frappe", frappe.String())
	write(t, dir, "rows.txt", text.String())
	if err := os.Mkdir(filepath.Join(dir, "glue"), 0o755); err != nil {
		t.Fatal(err)
	}
	sst2 := "sentence\tlabel\n" + strings.Repeat("a film\t1\nno film\t0\n", 20)
	write(t, dir, filepath.Join("glue", "train.tsv"), sst2)
	write(t, dir, filepath.Join("glue", "dev.tsv"), sst2)
}

// sizes finds every option of the reference that is a whole number, so that a new one is tested without being listed.
func sizes(t *testing.T) []sized {
	t.Helper()
	var all []sized
	add := func(command, base, prefix string, v any, set ...string) {
		options, err := registry.Options(v)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range options {
			if !strings.Contains(o.Type, "whole number") || strings.Contains(o.Path, "NAME") || strings.Contains(o.Path, ".N.") {
				continue
			}
			f, _ := o.Owner.FieldByName(o.Field)
			typ := f.Type
			for typ.Kind() == reflect.Slice || typ.Kind() == reflect.Pointer {
				typ = typ.Elem()
			}
			if typ.Kind() == reflect.Uint64 {
				continue // a seed
			}
			if last := o.Path[strings.LastIndex(o.Path, ".")+1:]; last == "parent" ||
				command == "cki" && slices.Contains([]string{"epochs", "steps", "trunk_steps", "eval_steps", "patience"}, last) {
				continue // no sizes: the number of a parent, and how long something takes that has no other bound
			}
			key := strings.TrimPrefix(prefix+"."+o.Path, ".")
			all = append(all, sized{command, base, key, set, strings.HasPrefix(o.Type, "list"), typ.Kind() == reflect.Int64})
		}
	}
	e := configs.Default()
	add("train", "criteo", "", struct {
		Threads int `yaml:"threads"`
	}{})
	add("train", "criteo", "train", e.Train)
	add("cki", "merge", "merge", e.Merge)
	for _, k := range registry.Kinds() {
		at := configs.Location(k.Iface)
		for _, name := range k.Names {
			v := k.Default(name)
			switch k.Name {
			case "data":
				if _, ok := sizeBases[name]; !ok {
					t.Errorf("data set %s has no small config in this test", name)
					continue
				}
				add("train", name, "data", v)
			case "model":
				base := "criteo"
				switch {
				case strings.Contains(name, "bert"):
					base = "text"
				case name == "esmm": // has two labels
					base = "likes"
				case strings.HasPrefix(fmt.Sprintf("%T", v), "seq."):
					base = "synthetic_interactions"
				}
				set := []string{"model=" + small(name)}
				if strings.HasSuffix(name, "_mlm") {
					set = append(set, "task=masked_lm", "data.mask_rate=.15", "data.label=''", "data.labels=[]")
				}
				add("train", base, "model", v, set...)
			case "column":
				if name == "vector" { // needs a size
					name = "{type: vector, dim: 3}"
				}
				add("train", "csv", "data.columns.b", v, "data.columns.b="+name)
			case "regime", "method":
				add("cki", "merge", at, v, at+"="+name)
			case "task":
			default:
				add("train", "criteo", at, v, at+"="+name)
			}
		}
	}
	return all
}

// small is a model of the kind of that name, as YAML.
func small(name string) string {
	if strings.Contains(name, "bert") {
		return "{type: " + name + ", hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 8, max_position_embeddings: 32}"
	}
	return name
}

// TestAbsurdSizes gives every option that is a whole number values that no machine can bear. The command ends at once, in little memory:
// either the value does no harm, or one line says which option is too large.
func TestAbsurdSizes(t *testing.T) {
	dir := workspace(t, 300)
	sizeFiles(t, dir)
	for name, text := range sizeBases {
		write(t, dir, name+".yaml", text)
	}
	all := sizes(t)
	if len(all) < 100 {
		t.Errorf("%d options are sizes, want more", len(all))
	}
	values := []string{"2147483647", "1099511627776"}
	wide := []string{"1000000000000000000", "9223372036854775807"}
	if testing.Short() {
		values, wide = values[:1], wide[1:]
	}
	for _, s := range all {
		list := values
		if s.wide {
			list = wide
		}
		for _, v := range list {
			if s.list {
				v = "[" + v + ", " + v + "]"
			}
			args := []string{"--config", s.config + ".yaml", "--run", "r", "--overwrite"}
			for _, set := range append(slices.Clone(s.set), "train.max_steps=2", s.key+"="+v) {
				args = append(args, "--set", set)
			}
			o, seconds, megabytes := bounded(t, dir, s.command, args...)
			what := fmt.Sprintf("%s %s %s=%s", s.command, strings.Join(s.set, " "), s.key, v)
			last := s.key[strings.LastIndex(s.key, ".")+1:]
			errs := strings.TrimSpace(o.stderr)
			if i := strings.LastIndex(errs, "\n"); i >= 0 {
				errs = errs[i+1:]
			}
			switch {
			case o.code == 0:
			case o.code != 2 || !strings.Contains(errs, last):
				t.Errorf("%s: exit %d, want 2 and a line that names %s:\n%.600s", what, o.code, last, o.stderr)
			}
			if seconds > 2 || megabytes > 500 {
				t.Errorf("%s: took %.1f s of the processor and %.0f MB, exit %d: %.300s", what, seconds, megabytes, o.code, errs)
			}
		}
	}
}

// bounded runs a command in 400 MB of memory, as it is told, and returns what it took.
func bounded(t *testing.T, dir, name string, args ...string) (o out, seconds, megabytes float64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, filepath.Join(bin, name), args...)
	c.Dir, c.Env = dir, append(c.Environ(), "SPLICE_MEMORY=400MB")
	light()
	o = do(t, c)
	u := c.ProcessState.SysUsage().(*syscall.Rusage)
	return o, (c.ProcessState.UserTime() + c.ProcessState.SystemTime()).Seconds(), float64(u.Maxrss) / 1000
}

// Sizes that are too large together name the one that does most.
func TestSizesTogether(t *testing.T) {
	dir := workspace(t, 300)
	sizeFiles(t, dir)
	for name, text := range sizeBases {
		write(t, dir, name+".yaml", text)
	}
	for _, tc := range []struct {
		config string
		set    []string
		want   string
	}{
		{"criteo", []string{"model.hidden_units=[1000000, 1000000]"}, "lower model.hidden_units, [1000000, 1000000] "},
		{"criteo", []string{"train.batch_size=1000000000"}, "lower train.batch_size, 1000000000 "},
		{"csv", []string{"data.columns.a={type: categorical, hash: 1000000000}", "model.embedding_dim=16"}, "lower hash, 1000000000 "},
		{"csv", []string{"data.columns.a={type: categorical, hash: 1000000}", "model.embedding_dim=1000000"}, "lower model.embedding_dim, 1000000 "},
		{"text", []string{"model.hidden_size=1000000", "model.num_attention_heads=1"}, "lower model.hidden_size, 1000000 "},
	} {
		args := []string{"--config", tc.config + ".yaml", "--run", "r", "--overwrite"}
		for _, set := range tc.set {
			args = append(args, "--set", set)
		}
		o, seconds, megabytes := bounded(t, dir, "train", args...)
		if o.code != 2 || !strings.Contains(o.stderr, tc.want) || seconds > 2 || megabytes > 500 {
			t.Errorf("%v: exit %d after %.1f s with %.0f MB, want 2 and %q:\n%s", tc.set, o.code, seconds, megabytes, tc.want, o.stderr)
		}
	}
}

// What a job says it needs is about what it takes.
func TestNeedIsTrue(t *testing.T) {
	dir := workspace(t, 3000)
	for _, set := range [][]string{
		{"train.epochs=1"},
		{
			"train.epochs=1", "model.hidden_units=[2048, 2048]", "model.embedding_dim=32", "train.batch_size=1024", "train.ema=.9",
			"train.swa_start=1",
		},
	} {
		args := []string{"--config", "run.yaml", "--run", "r", "--overwrite"}
		for _, s := range set {
			args = append(args, "--set", s)
		}
		c := command(dir, "train", args...)
		light()
		o := do(t, c)
		_, after, _ := strings.Cut(o.stderr, "needs about ")
		said, _, _ := strings.Cut(after, "\"")
		need, err := memory.Parse(said)
		if o.code != 0 || err != nil {
			t.Fatalf("%v: exit %d, needs %q: %v\n%s", set, o.code, said, err, o.stderr)
		}
		took := float64(c.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) * 1024
		t.Logf("%v: says %s, takes %s", set, said, memory.Format(took))
		if d := need - took; d > .25*took+100e6 || -d > .25*took+100e6 {
			t.Errorf("%v: says it needs %s, and takes %s", set, said, memory.Format(took))
		}
	}
}
