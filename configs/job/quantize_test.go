package job_test

import (
	"bytes"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/data/memory"
	"github.com/splice-ml/splice/train/ckpt"
)

// Tables of int8: predictions have the metrics that the evaluation measures with them, which stand beside those of float32 tables and the
// difference.
func TestQuantize(t *testing.T) {
	workspace(t, 2000)
	large := []string{"model={type: fm, embedding_dim: 64}", "data.categorical.min_count=1"}
	fresh(t, "a", large...)
	fresh(t, "b", append(large, "seed=2")...)
	labels := lastRows(t, 400)
	plain, err := evaluate(t, "", "test.tsv", "", "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	e, err := job.OpenEnsemble([]string{"a", "b"}, []string{"serve.quantize=int8"}, "", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	var all []job.Scores
	if err := e.Evaluate(t.Context(), "test.tsv", "", func(s job.Scores) error { all = append(all, s); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(plain) != 3 || len(all) != 9 {
		t.Fatalf("%d scores, and %d with int8", len(plain), len(all))
	}
	for i, s := range plain {
		before, after, change := all[3*i], all[3*i+1], all[3*i+2]
		for _, name := range []string{"auc", "logloss"} {
			if before.Metrics[name] != s.Metrics[name] || before.Model != s.Model || before.Tables != job.Float32Tables || s.Tables != "" {
				t.Errorf("%s with float32 tables: %+v, want %+v", name, before, s)
			}
			v := after.Metrics[name]
			if v == before.Metrics[name] && name == "logloss" || math.Abs(v-before.Metrics[name]) > .01 || after.Tables != job.Int8Tables {
				t.Errorf("%s with int8 tables: %+v, before %+v", name, after, before)
			}
			if change.Metrics[name] != v-before.Metrics[name] || change.Tables != job.Difference || change.Model != s.Model {
				t.Errorf("%s: %+v, want %v less %v", name, change, v, before.Metrics[name])
			}
		}
	}
	for i, tables := range e.Tables {
		if rows := tables.Float32 / 4 / 65; len(tables.Int8) != 26 || tables.Held != (4+68)*rows {
			t.Errorf("run %d: tables %+v, want 68 bytes in place of 256 of each row, and 4 of its linear term", i, tables)
		}
	}
	// What is logged as needed: the tables as they are held.
	for _, want := range []string{"embedding tables are int8", "a row of linear.C1.weight and 25 more is one value"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log lacks %q:\n%s", want, log.String())
		}
	}
	set := []string{"serve.quantize=int8"}
	log.Reset()
	one, err := job.OpenEnsemble([]string{"a"}, set, "", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if _, err := one.Predict(t.Context(), "test.tsv", &out); err != nil {
		t.Fatal(err)
	}
	if want := memory.Format(one.Tables[0].Held); !strings.Contains(log.String(), "tables "+want) {
		t.Errorf("needed are not %s for tables:\n%s", want, log.String())
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	z := numbers(t, lines, nil)
	for i := range z {
		z[i] = logit(z[i])
	}
	near(t, all[1], z, labels)
	if float32s, err := predict(t, "", "test.tsv", "a"); err != nil || slices.Equal(float32s, lines) {
		t.Errorf("predictions are those of float32 tables, or %v", err)
	}
}

// What int8 tables cannot be: of a model without a table that is only looked up, or of values that are not finite.
func TestQuantizeRefuses(t *testing.T) {
	workspace(t, 600)
	fresh(t, "r")
	fresh(t, "lr", "model=lr")
	copied(t, "r", "nan")
	altered(t, "nan/model.safetensors", func(c *ckpt.Checkpoint) {
		x := c.Get("embedding.C3.weight")
		x.Data[2*x.Shape[1]+1] = float32(math.NaN())
	})
	lastRows(t, 100)
	use := func(evaluates bool, dirs ...string) error {
		e, err := job.OpenEnsemble(dirs, []string{"serve.quantize=int8"}, "", nil)
		if err != nil {
			return err
		}
		if evaluates {
			return e.Evaluate(t.Context(), "test.tsv", "", func(job.Scores) error { return nil })
		}
		_, err = e.Predict(t.Context(), "test.tsv", new(strings.Builder))
		return err
	}
	for _, evaluates := range []bool{false, true} {
		refused(t, use(evaluates, "r", "lr"), "lr: ", "serve.quantize: int8: no embedding table can be held so", "linear.C1.weight and 25 more", "set it to none")
	}
	refused(t, use(false, "nan"), "nan/model.safetensors", "embedding.C3.weight: row 2 has the value NaN")
}
