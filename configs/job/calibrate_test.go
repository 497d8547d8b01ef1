package job_test

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/train/calibrate"
)

func noFigures(*job.Calibrated) (map[string][]byte, error) { return nil, nil }

func calibrated(t *testing.T, dir, method string) *job.Calibrated {
	t.Helper()
	c, err := opened(t, dir).Calibrate(t.Context(), method, func(*job.Calibrated) (map[string][]byte, error) {
		return map[string][]byte{"reliability.png": []byte("png")}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// openedCalibrated opens a run whose predictions are calibrated.
func openedCalibrated(dirs ...string) (*job.Ensemble, error) {
	return job.OpenEnsemble(dirs, []string{"serve.calibrated=true"}, "", nil)
}

func predicted(t *testing.T, e *job.Ensemble) []string {
	t.Helper()
	var b bytes.Buffer
	if _, err := e.Predict(t.Context(), "rows.csv", &b); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(b.String()), "\n")
}

// TestCalibrate: predictions are those of the map, metrics are those of such predictions, and what is fitted is best on the validation rows.
func TestCalibrate(t *testing.T) {
	clicked(t)
	plain := predicted(t, opened(t, "r"))
	for _, method := range calibrate.Methods() {
		c := calibrated(t, "r", method)
		if len(c.Tasks) != 1 || len(c.Tasks[0].Parts) != 2 || c.Tasks[0].Parts[0].Rows != 300 {
			t.Fatalf("%s: %+v", method, c)
		}
		e, err := openedCalibrated("r")
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range predicted(t, e) {
			p, _ := strconv.ParseFloat(plain[i], 64)
			q, _ := strconv.ParseFloat(line, 64)
			z := []float32{float32(math.Log(p) - math.Log1p(-p))}
			c.Tasks[0].Map.Apply(z)
			if want := 1 / (1 + math.Exp(-float64(z[0]))); math.Abs(q-want) > 1e-4 {
				t.Fatalf("%s: the prediction of row %d is %v, which was %v, want %v", method, i+1, q, p, want)
			}
		}
		parts := map[string]job.Scores{}
		if err := e.Evaluate(t.Context(), "", "", func(s job.Scores) error { parts[s.Part] = s; return nil }); err != nil {
			t.Fatal(err)
		}
		for _, p := range c.Tasks[0].Parts {
			if got, want := parts[p.Part].Metrics["logloss"], p.Changes[2].After.Value; math.Abs(got-want) > 1e-12 {
				t.Errorf("%s: the log loss of %s rows is %v, want %v", method, p.Part, got, want)
			}
		}
		if d := c.Tasks[0].Parts[0].Changes[2].Change.Value; d > 1e-4 {
			t.Errorf("%s: the log loss of the rows that it was fitted on changes by %v", method, d)
		}
		im, err := e.Importance(t.Context(), job.ImportanceOptions{Repeats: 1, Rows: 1000, Metric: "logloss"})
		if err != nil || im.Value != parts["valid"].Metrics["logloss"] {
			t.Errorf("%s: the log loss that columns are important for is %v, %v, want %v", method, im.Value, err, parts["valid"].Metrics["logloss"])
		}
		if s := slicesOf(t, e, job.SliceOptions{Split: "valid", By: []string{"ad"}}); s.All.Metrics["logloss"].Value != parts["valid"].Metrics["logloss"] {
			t.Errorf("%s: the log loss of slices is %+v", method, s.All.Metrics["logloss"])
		}
	}
}

func TestCalibrateRefuses(t *testing.T) {
	e := clicked(t)
	predict := func(dirs ...string) error {
		e, err := openedCalibrated(dirs...)
		if err == nil {
			_, err = e.Predict(t.Context(), "rows.csv", &bytes.Buffer{})
		}
		return err
	}
	refused(t, predict("r"), "r has no calibration.json: calibrate it: evaluate --run r --calibrate temperature")
	_, err := e.Calibrate(t.Context(), "beta", noFigures)
	refused(t, err, `--calibrate "beta": want temperature, platt, isotonic`)
	calibrated(t, "r", "platt")
	if err := predict("r"); err != nil {
		t.Error(err)
	}
	trainClicks(t, "s", "seed=2")
	refused(t, predict("r", "s"), "serve.calibrated: the calibration of r is of its own predictions, not of those of several runs together; set it to false")
	_, err = opened(t, "r", "s").Calibrate(t.Context(), "platt", noFigures)
	refused(t, err, "--calibrate is of one run: give --run once")
	text := read(t, "r", "calibration.json")
	write(t, "r/calibration.json", strings.Replace(text, `"slope": `, `"slope": 1`, 1))
	refused(t, predict("r"), "calibration.json does not match its checksum: it was edited or damaged after it was written: calibrate it")
	write(t, "s/calibration.json", text)
	refused(t, predict("s"), "calibration.json was fitted on another model than the one that is there now: calibrate it: evaluate --run s --calibrate temperature")
	trainClicks(t, "n", "data.split.ratio=[0.5, 0, 0.5]")
	_, err = opened(t, "n").Calibrate(t.Context(), "platt", noFigures)
	refused(t, err, "--calibrate: the data of n has no validation rows, on which a calibration is fitted")
	trainClicks(t, "m", "task={type: regression}", "data.number_labels=click")
	_, err = opened(t, "m").Calibrate(t.Context(), "platt", noFigures)
	refused(t, err, "--calibrate: m predicts numbers, not probabilities")
}

// TestTrainingRemovesCalibration: neither a training that replaces a run nor one that goes on leaves a calibration behind.
func TestTrainingRemovesCalibration(t *testing.T) {
	clicked(t)
	for _, o := range []job.TrainOptions{{Overwrite: true}, {Resume: true}} {
		calibrated(t, "r", "temperature")
		for _, name := range []string{"calibration.json", "reliability.png"} {
			if _, err := os.Stat(filepath.Join("r", name)); err != nil {
				t.Fatal(err)
			}
		}
		e, err := configs.Load("c.yaml", nil)
		if err != nil {
			t.Fatal(err)
		}
		j := job.Job{Experiment: e, Dir: "r"}
		if _, err := j.Train(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"calibration.json", "reliability.png"} {
			if _, err := os.Stat(filepath.Join("r", name)); err == nil {
				t.Errorf("%+v leaves %s", o, name)
			}
		}
	}
}
