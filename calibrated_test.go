package splice_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice"
	"github.com/splice-ml/splice/configs/job"
)

// calibrate fits a calibration of a run.
func calibrate(t *testing.T, dir, method string) {
	t.Helper()
	e, err := job.OpenEnsemble([]string{dir}, nil, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Calibrate(t.Context(), method, func(*job.Calibrated) (map[string][]byte, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
}

// learned has a run learn the labels of its rows by heart, on which it is calibrated, too: they are drawn.
func learned(path string) []string {
	return []string{"data.valid_path=" + path, "data.split.ratio=[0.9, 0, 0.1]", "train.epochs=12", "train.learning_rate=0.02", "train.optimizer=adam"}
}

const isCalibrated = "serve.calibrated=true"

// TestCalibratedIsPredict: calibrated rows in memory have the predictions of a file, bit by bit, which are others than those without.
func TestCalibratedIsPredict(t *testing.T) {
	dir, path, rows := trained(t, clicksConfig, "deepfm")
	set := append([]string{"data.path=" + path}, learned(path)...)
	if _, err := splice.Train(t.Context(), filepath.Join(filepath.Dir(dir), "run.yaml"), splice.Options{Run: dir, Overwrite: true, Set: set}); err != nil {
		t.Fatal(err)
	}
	plain := predictions(t, dir, path)
	for _, method := range []string{"temperature", "platt", "isotonic"} {
		calibrate(t, dir, method)
		want := predictions(t, dir, path, isCalibrated)
		if slices.Equal(want, plain) {
			t.Errorf("%s changes nothing", method)
		}
		if err := sameAs(t.Context(), open(t, dir, isCalibrated), rows, want); err != nil {
			t.Errorf("%s: %v", method, err)
		}
		if err := sameAs(t.Context(), open(t, dir), rows, plain); err != nil {
			t.Errorf("not calibrated: %v", err)
		}
	}
}

// TestCalibratedClasses: a temperature changes no class of a row, and the probabilities have the same bits in memory.
func TestCalibratedClasses(t *testing.T) {
	dir, path, rows := trained(t, reviewsConfig, "bert", "train.learning_rate=1e-4", "data.labels=[good, bad]")
	calibrate(t, dir, "temperature")
	want := predictions(t, dir, path)
	if got := predictions(t, dir, path, isCalibrated); !slices.Equal(got, want) {
		t.Errorf("classes %v, want %v", got[:3], want[:3])
	}
	plain, err := open(t, dir).Classify(t.Context(), rows)
	if err != nil {
		t.Fatal(err)
	}
	got, err := open(t, dir, isCalibrated).Classify(t.Context(), rows)
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if got[i].Name != plain[i].Name || got[i].Probability == plain[i].Probability || got[i].Name != want[i] {
			t.Fatalf("row %d is %+v, was %+v", i+1, got[i], plain[i])
		}
	}
}

// TestCalibratedTasks: each task has a calibration of its own, but numbers have none.
func TestCalibratedTasks(t *testing.T) {
	tmp := t.TempDir()
	dir, path, rows := trainTasks(t, tmp, "mmoe", "a", learned(filepath.Join(tmp, "rows.csv"))...)
	calibrate(t, dir, "temperature")
	plain, err := open(t, dir).ScoreTasks(t.Context(), rows)
	if err != nil {
		t.Fatal(err)
	}
	r := open(t, dir, isCalibrated)
	got, err := r.ScoreTasks(t.Context(), rows)
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if got[i][0] == plain[i][0] || got[i][1] != plain[i][1] || got[i][2] != plain[i][2] { // a probability, a number, a class
			t.Fatalf("row %d has scores %v, had %v", i+1, got[i], plain[i])
		}
	}
	if want := predictions(t, dir, path, isCalibrated); !slices.Equal(taskLines(t, r, rows), want) {
		t.Error("scores differ from those of the file")
	}
	e, err := job.OpenEnsemble([]string{dir}, nil, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Calibrate(t.Context(), "platt", nil)
	if want := "--calibrate platt: stars: platt is for labels 0 and 1: classes are calibrated by temperature"; err == nil || err.Error() != want {
		t.Errorf("platt of classes: error %v, want %s", err, want)
	}
}

func TestCalibratedMerge(t *testing.T) {
	dir, path, _ := trained(t, clicksConfig, "deepfm")
	other := dir + "-other"
	if _, err := splice.Train(t.Context(), filepath.Join(filepath.Dir(dir), "run.yaml"), splice.Options{Run: other, Set: []string{"data.path=" + path, "serve.calibrated=true"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := splice.OpenMerged(t.Context(), "average", other, dir); err == nil || !strings.HasSuffix(err.Error(), "is of its own model, not of a merge") {
		t.Errorf("a merge with a calibration: error %v", err)
	}
	if _, err := splice.Open(other); err == nil || !strings.Contains(err.Error(), "has no calibration.json: calibrate it: evaluate --run "+other) {
		t.Errorf("without a calibration: error %v", err)
	}
}
