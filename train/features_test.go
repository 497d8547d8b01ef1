package train_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/task"
)

// frozenReader returns a trainer of a bag's head.
func frozenReader(t *testing.T, dir string) *train.Trainer {
	t.Helper()
	tr := reader(t, dir)
	tr.Freeze = []string{"embed.*", "layer.*"}
	return tr
}

func cached(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	hidden, _ := filepath.Glob(filepath.Join(dir, ".features*"))
	return append(files, hidden...)
}

// TestFeaturesChangeNothing: a run over features has the model and the metrics of one over text, and reads the stem's file again.
func TestFeaturesChangeNothing(t *testing.T) {
	t.Parallel()
	build := func(dir string, on bool) *train.Trainer {
		tr := frozenReader(t, dir)
		tr.CacheFeatures, tr.GradientAccumulation, tr.EMA = on, 2, 0.9
		return tr
	}
	plain, quick := t.TempDir(), t.TempDir()
	want, err := build(plain, false).Fit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if files := cached(t, filepath.Join(plain, "cache")); len(files) != 0 {
		t.Errorf("without cache_features there are %v", files)
	}
	for round := range 2 {
		tr := build(quick, true)
		read := 0
		tr.Data.Train.(*textSource).read = &read
		got, err := tr.Fit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(model(t, quick), model(t, plain)) {
			t.Error("the model differs")
		}
		if fmt.Sprint(got.Valid, got.Test, got.Averages, got.Steps, got.BestEpoch) != fmt.Sprint(want.Valid, want.Test, want.Averages, want.Steps, want.BestEpoch) {
			t.Errorf("result %+v, want %+v", got, want)
		}
		if files := cached(t, filepath.Join(quick, "cache")); len(files) != 3 {
			t.Errorf("files %v, want one for each part", files)
		}
		epochs := (int(got.Steps) + 5) / 6
		if batches := read - 12*epochs; batches != 12*(1-round) {
			t.Errorf("round %d: %d batches beside those of %d epochs, want %d for the stem", round, batches, epochs, 12*(1-round))
		}
		if tr.Model != (bag{Dim: 6}) {
			t.Errorf("the trainer's model became %T", tr.Model)
		}
	}
}

// TestFeaturesResume goes on from every checkpoint, with other starting values than the run's.
func TestFeaturesResume(t *testing.T) {
	t.Parallel()
	whole := t.TempDir()
	tr := frozenReader(t, whole)
	tr.GradientAccumulation = 5 // of 12 batches: steps of 5, 5 and 2
	want, err := tr.Fit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want.Steps%3 != 0 {
		t.Errorf("%d steps, want 3 in an epoch", want.Steps)
	}
	for at := int64(1); at < want.Steps; at += 2 {
		dir := t.TempDir()
		build := func(seed uint64) *train.Trainer {
			tr := frozenReader(t, dir)
			tr.GradientAccumulation, tr.CheckpointSteps, tr.Resume, tr.Params = 5, 1, true, nn.NewParams(seed)
			return tr
		}
		ctx, cancel := context.WithCancel(t.Context())
		tr := build(3)
		tr.Callbacks = append(tr.Callbacks, &stopper{at, cancel})
		if _, err := tr.Fit(ctx); !errors.Is(err, train.ErrInterrupted) {
			t.Fatalf("not interrupted: %v", err)
		}
		cancel()
		if _, err := build(99).Fit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(model(t, dir), model(t, whole)) {
			t.Errorf("interrupted after step %d: the model differs", at)
		}
		if files := cached(t, filepath.Join(dir, "cache")); len(files) != 3 {
			t.Errorf("files %v, want those of the first run", files)
		}
	}
}

// What must not be cached is trained as it is; what the features depend on is in the file's name.
func TestFeaturesAreThoseOfTheStem(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	fit := func(change func(*train.Trainer)) int {
		t.Helper()
		tr := frozenReader(t, t.TempDir())
		tr.Epochs, tr.CacheDir, tr.Data.Valid, tr.Data.Test = 1, cache, nil, nil
		change(tr)
		if _, err := tr.Fit(t.Context()); err != nil {
			t.Fatal(err)
		}
		return len(cached(t, cache))
	}
	if n := fit(func(tr *train.Trainer) { tr.Freeze = []string{"embed.*", "layer.weight"} }); n != 0 {
		t.Errorf("%d files with a part of the stem in training", n)
	}
	if n := fit(func(tr *train.Trainer) { tr.Freeze = nil }); n != 0 {
		t.Errorf("%d files with all in training", n)
	}
	if n := fit(func(tr *train.Trainer) {
		tr.Freeze, tr.Compile.Freeze = nil, func(n string) bool { return n[0] != 'h' }
	}); n != 1 {
		t.Errorf("%d files, want 1", n)
	}
	replace := func(weight string) func(*train.Trainer) { // by twice itself, which trains
		return func(tr *train.Trainer) {
			tr.Compile.Reparam = func(s *nn.Scope, name string, leaf *G.Node) *G.Node {
				if name != weight {
					return leaf
				}
				return s.Check(ops.Scale(s.Sub("twice").Param("weight", nn.Normal(0.1), leaf.Shape()...), 2))
			}
		}
	}
	if n := fit(replace("layer.weight")); n != 1 {
		t.Errorf("%d files after a training of a stem that is computed, want the one from before", n)
	}
	same := []func(*train.Trainer){
		replace("head.weight"), // of a splice
		func(*train.Trainer) {},
		func(tr *train.Trainer) { tr.BatchSize = 5 },
		func(tr *train.Trainer) { tr.LearningRate = 1 },
		func(tr *train.Trainer) { // another head
			if err := tr.Params.Add(&nn.Param{Name: "head.bias", Shape: []int{2}, Data: []float32{1, 2}}); err != nil {
				t.Fatal(err)
			}
		},
	}
	for i, change := range same {
		if n := fit(change); n != 1 {
			t.Errorf("change %d: %d files, want the same", i, n)
		}
	}
	for i, change := range []func(*train.Trainer){
		func(tr *train.Trainer) { tr.Params = nn.NewParams(4) },
		func(tr *train.Trainer) { tr.Model = bag{Dim: 6, Linear: true} },
		func(tr *train.Trainer) { tr.Data.Train.(*textSource).name = "other rows" },
	} {
		if n := fit(change); n != 2+i {
			t.Errorf("change %d: %d files, want %d", i, n, 2+i)
		}
	}
	m := texts(0.3)
	tr := frozenReader(t, t.TempDir())
	tr.Data, tr.Model, tr.Freeze, tr.CacheDir = m, bag{Dim: 6, Masked: true}, []string{"embed.*"}, t.TempDir()
	tr.Task, _ = task.Registry.Default("masked_lm")
	if _, err := tr.Fit(t.Context()); err != nil || len(cached(t, tr.CacheDir)) != 0 {
		t.Errorf("rows that are masked anew each epoch: %v, files %v", err, cached(t, tr.CacheDir))
	}
}

func TestFeaturesOfASource(t *testing.T) {
	t.Parallel()
	m, p, dir := bag{Dim: 6}, nn.NewParams(3), t.TempDir()
	src := texts(0).Test
	o := train.FeatureOptions{Dir: dir, Compile: models.CompileOptions{Batch: 8, Freeze: func(string) bool { return true }}}
	head, rows, err := train.Features(t.Context(), m, p, src, o)
	if err != nil {
		t.Fatal(err)
	}
	tk, _ := task.Registry.Default("classification")
	score := func(m models.Model, src data.Source) string {
		prog, err := models.Compile(m, p, src.Schema(), models.CompileOptions{Batch: 8})
		if err != nil {
			t.Fatal(err)
		}
		defer prog.Close()
		v, err := train.Evaluate(t.Context(), prog, src, tk, train.EvaluateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(v.Metrics)
	}
	if a, b := score(m, src), score(head, rows); a != b {
		t.Errorf("the model scores %s, its head %s", a, b)
	}
	if again, r, err := train.Features(t.Context(), head, p, rows, o); err != nil || r != rows ||
		fmt.Sprintf("%p", again) != fmt.Sprintf("%p", head) {
		t.Errorf("a head was split again: %v", err)
	}
	// A row that the file does not know, and a damaged file.
	rows.(interface{ Fingerprint() string }).Fingerprint()
	src.(*textSource).rows = append(src.(*textSource).rows, sentence{tokens: []int32{4}})
	for _, err = range rows.Batches(0, 8) {
		if err != nil {
			break
		}
	}
	if err == nil || !strings.Contains(err.Error(), "features of the frozen part: none of row 33") {
		t.Errorf("error %v", err)
	}
	file := cached(t, dir)[0]
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-3] ^= 1
	if err := os.WriteFile(file, b, 0o666); err != nil {
		t.Fatal(err)
	}
	src = texts(0).Test
	read := 0
	src.(*textSource).read = &read
	if _, rows, err = train.Features(t.Context(), m, p, src, o); err != nil || read != 5 {
		t.Errorf("a damaged file: %v, %d batches read, want the 5 of a new pass", err, read)
	} else if a, b := score(m, src), score(head, rows); a != b {
		t.Errorf("the model scores %s, its head %s", a, b)
	}
	// Rows with one number, and an interrupted pass, leave no file.
	for i := range src.(*textSource).rows {
		src.(*textSource).rows[i].tokens = []int32{4}
	}
	src.(*textSource).name = "twice"
	if _, _, err := train.Features(t.Context(), m, p, twice{src.(*textSource)}, o); err == nil ||
		!strings.Contains(err.Error(), "two have the same") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := train.Features(ctx, m, p, src, o); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if files := cached(t, dir); len(files) != 1 {
		t.Errorf("files %v, want the first one alone", files)
	}
}

// twice gives all its rows one number.
type twice struct{ *textSource }

func (s twice) Batches(epoch, size int) iter.Seq2[*data.Batch, error] {
	return func(yield func(*data.Batch, error) bool) {
		for b, err := range s.textSource.Batches(epoch, size) {
			clear(b.Row)
			if !yield(b, err) {
				return
			}
		}
	}
}
