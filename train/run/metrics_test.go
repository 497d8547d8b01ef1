package run_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/splice-ml/splice/train/run"
)

// A value that is undefined is null in a file, and comes back as NaN, not as 0.
func TestMetricsJSON(t *testing.T) {
	b, err := json.Marshal(run.Metrics{"auc": math.NaN(), "logloss": .25})
	if want := `{"auc":null,"logloss":0.25}`; err != nil || string(b) != want {
		t.Errorf("written as %s, %v; want %s", b, err, want)
	}
	var m run.Metrics
	if err := json.Unmarshal(b, &m); err != nil || len(m) != 2 || !math.IsNaN(m["auc"]) || m["logloss"] != .25 {
		t.Errorf("read as %v, %v", m, err)
	}
}
