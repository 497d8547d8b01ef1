package regime_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/mergetest"
	"github.com/splice-ml/splice/cki/regime"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/train"
)

// lab is the suite's, with training rows whose order can be changed.
func lab(t *testing.T) *cki.Lab {
	t.Helper()
	l := mergetest.Lab(t, mergetest.Model())
	rows, ok := l.Data.Train.(*data.Memory)
	if !ok {
		t.Fatalf("training rows are %T", l.Data.Train)
	}
	rows.Shuffle = true
	l.KeepBaseEpochs = true
	return l
}

func digest(t *testing.T, m *cki.Member) string {
	t.Helper()
	d, err := cki.Digest(cki.Memory(m.Params))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestHistories: every regime makes parents that are models of histories.
func TestHistories(t *testing.T) {
	for _, name := range []string{"din", "sasrec/next/full", "gru4rec/next/sampled_softmax"} {
		for _, of := range cki.Regimes.Names() {
			r, _ := cki.Regimes.Default(of)
			if s, ok := r.(regime.Shards); ok {
				s.Trunk = 3
				r = s
			}
			l := mergetest.Histories()[name].Lab(t)
			l.Data.Train.(*data.Memory).Shuffle = true
			f, err := r.Make(t.Context(), l)
			if err != nil {
				t.Fatalf("%s, %s: %v", name, of, err)
			}
			if len(f.Members) < 2 || digest(t, f.Members[0]) == digest(t, f.Members[1]) {
				t.Errorf("%s, %s: %d parents, which are the same", name, of, len(f.Members))
			}
		}
	}
}

// TestEveryRegime: every registered regime is valid as it is registered, makes parents that differ, keeps their runs apart,
// makes the same ones again, and goes on with what an interrupted call left.
func TestEveryRegime(t *testing.T) {
	names := cki.Regimes.Names()
	if len(names) < 5 {
		t.Errorf("%d regimes are registered: %v", len(names), names)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			r, _ := cki.Regimes.Default(name)
			if v, ok := r.(interface{ Validate() error }); !ok || v.Validate() != nil {
				t.Errorf("%+v: its defaults are not valid, or it cannot tell", r)
			}
			l := lab(t)
			f, err := r.Make(t.Context(), l)
			if err != nil {
				t.Fatal(err)
			}
			steps := int64(0)
			if f.Trunk != nil {
				steps = f.Trunk.Steps
			}
			var want []string
			seen := map[string]string{}
			for _, m := range f.Members {
				d := digest(t, m)
				for _, key := range []string{"model " + d, "directory " + m.Dir, "name " + m.Name} {
					if seen[key] != "" {
						t.Errorf("%s and %s have the same %s", seen[key], m.Name, key)
					}
					seen[key] = m.Name
				}
				if m.Data == nil || m.Counts == nil || len(m.Valid) == 0 || m.Steps < 1 {
					t.Errorf("%s lacks something: %+v", m.Name, m)
				}
				want, steps = append(want, d), steps+m.Steps
			}
			if len(want) < 2 || f.Steps != steps {
				t.Errorf("%d parents, %d steps, want %d", len(want), f.Steps, steps)
			}
			for k, m := range f.Members {
				if _, err := os.Stat(filepath.Join(m.Dir, "ema.safetensors")); (err == nil) != (k == 0) {
					t.Errorf("%s keeps its moving average: %v", m.Name, err == nil)
				}
			}
			again := func(l *cki.Lab) {
				t.Helper()
				f, err := r.Make(t.Context(), l)
				if err != nil {
					t.Fatal(err)
				}
				for k, m := range f.Members {
					if got := digest(t, m); got != want[k] {
						t.Errorf("again, %s is %s, want %s", m.Name, got, want[k])
					}
				}
			}
			again(l)
			l = lab(t)
			ctx, cancel := context.WithCancel(t.Context())
			begun := 0
			l.Begin = func(string, string, train.Options) ([]train.Callback, error) {
				if begun++; begun == 2 {
					cancel()
				}
				return nil, nil
			}
			if _, err := r.Make(ctx, l); err == nil {
				t.Error("a regime whose second training is interrupted made its parents")
			}
			again(l)
		})
	}
}
