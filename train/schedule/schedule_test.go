package schedule_test

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/train/schedule"
)

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12*max(1e-3, math.Abs(b)) }

type golden struct {
	LR      float64              `json:"lr"`
	Total   int64                `json:"total"`
	Rates   map[string][]float64 `json:"rates"`
	Plateau map[string]struct {
		Values []float64 `json:"values"`
		LR     []float64 `json:"lr"`
	} `json:"plateau"`
}

func load(t *testing.T) (g golden) {
	t.Helper()
	src, err := os.ReadFile("testdata/schedule.json")
	if err == nil {
		err = json.Unmarshal(src, &g)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestRatesEqualHuggingFaceAndPyTorch(t *testing.T) {
	g := load(t)
	warm := schedule.Warmup{WarmupSteps: 7}
	for name, o := range map[string]schedule.Options{
		"constant":        schedule.Constant{},
		"constant warmup": schedule.Constant{Warmup: warm},
		"linear":          schedule.Linear{},
		"linear warmup":   schedule.Linear{Warmup: warm},
		"cosine":          schedule.Cosine{NumCycles: 0.5},
		"cosine warmup":   schedule.Cosine{Warmup: schedule.Warmup{WarmupRatio: 0.16}, NumCycles: 0.5}, // ceil(6.4)
		"cosine cycles":   schedule.Cosine{Warmup: warm, NumCycles: 1.5},
		"cosine min":      schedule.Cosine{Warmup: warm, NumCycles: 0.5, MinLRRate: 0.1},
		"step":            schedule.Step{Gamma: 0.5, Every: 6, Unit: "step"},
	} {
		want := g.Rates[name]
		if int64(len(want)) != g.Total+1 {
			t.Fatalf("%s: %d rates in the file", name, len(want))
		}
		s := o.New(g.LR, true)
		for i, w := range want {
			if got := s.LR(schedule.Progress{Step: int64(i), Total: g.Total}); !near(got, w) {
				t.Errorf("%s: rate of step %d = %v, want %v", name, i, got, w)
			}
		}
		s.Eval(1)
		if s.State() != (schedule.State{}) || s.Load(schedule.State{}) != nil {
			t.Errorf("%s: has state %+v", name, s.State())
		}
		if s.Load(schedule.State{LR: 1}) == nil {
			t.Errorf("%s: loaded the state of a plateau", name)
		}
	}
}

func TestClosedForm(t *testing.T) {
	for _, tc := range []struct {
		name string
		o    schedule.Options
		p    schedule.Progress
		want float64
	}{
		{"warm-up starts at 0", schedule.Linear{Warmup: schedule.Warmup{WarmupSteps: 10}}, schedule.Progress{Step: 0, Total: 100}, 0},
		{"half of the warm-up", schedule.Linear{Warmup: schedule.Warmup{WarmupSteps: 10}}, schedule.Progress{Step: 5, Total: 100}, 0.5},
		{"half of the fall", schedule.Linear{Warmup: schedule.Warmup{WarmupSteps: 10}}, schedule.Progress{Step: 55, Total: 100}, 0.5},
		{"linear ends at 0", schedule.Linear{}, schedule.Progress{Step: 100, Total: 100}, 0},
		{"linear after the end", schedule.Linear{}, schedule.Progress{Step: 120, Total: 100}, 0},
		{"cosine after the end", schedule.Cosine{NumCycles: 0.5}, schedule.Progress{Step: 120, Total: 100}, 0},
		{"cosine halfway", schedule.Cosine{NumCycles: 0.5}, schedule.Progress{Step: 50, Total: 100}, 0.5},
		{"cosine at a third", schedule.Cosine{NumCycles: 0.5}, schedule.Progress{Step: 1, Total: 3}, 0.75},
		{"ratio", schedule.Constant{Warmup: schedule.Warmup{WarmupRatio: 0.1}}, schedule.Progress{Step: 4, Total: 100}, 0.4},
		{"steps before ratio", schedule.Constant{Warmup: schedule.Warmup{WarmupSteps: 8, WarmupRatio: 0.1}}, schedule.Progress{Step: 4, Total: 100}, 0.5},
		{"step by epoch", schedule.Step{Gamma: 0.1, Every: 2, Unit: "epoch"}, schedule.Progress{Step: 999, Total: 1000, Epoch: 3}, 0.1},
		{"no steps at all", schedule.Cosine{NumCycles: 0.5}, schedule.Progress{}, 1},
	} {
		if got := tc.o.New(1, true).LR(tc.p); !near(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

func plateaus() map[string]struct {
	o      schedule.Plateau
	higher bool
} {
	return map[string]struct {
		o      schedule.Plateau
		higher bool
	}{
		"max":      {schedule.Plateau{Factor: 0.5, Patience: 1, Threshold: 1e-3, MinLR: 1e-3}, true},
		"min":      {schedule.Plateau{Factor: 0.1, Threshold: 1e-6, MinLR: 1e-6}, false},
		"cooldown": {schedule.Plateau{Factor: 0.5, Patience: 1, Threshold: 1e-3, Cooldown: 2, MinLR: 1e-3}, true},
	}
}

func TestPlateauEqualsPyTorch(t *testing.T) {
	g := load(t)
	for name, tc := range plateaus() {
		want := g.Plateau[name]
		s := tc.o.New(g.LR, tc.higher)
		for i, v := range want.Values {
			s.Eval(v)
			if got := s.LR(schedule.Progress{}); !near(got, want.LR[i]) {
				t.Errorf("%s: rate after evaluation %d = %v, want %v", name, i, got, want.LR[i])
			}
		}
	}
}

func TestPlateauResumes(t *testing.T) {
	g := load(t)
	for name, tc := range plateaus() {
		values := g.Plateau[name].Values
		for cut := range values {
			a, b := tc.o.New(g.LR, tc.higher), tc.o.New(g.LR, tc.higher)
			for _, v := range values[:cut] {
				a.Eval(v)
			}
			src, err := json.Marshal(a.State())
			if err != nil {
				t.Fatal(err)
			}
			var st schedule.State
			if err := json.Unmarshal(src, &st); err != nil {
				t.Fatal(err)
			}
			if err := b.Load(st); err != nil {
				t.Fatal(err)
			}
			for _, v := range values[cut:] {
				a.Eval(v)
				b.Eval(v)
			}
			if a.State() != b.State() {
				t.Errorf("%s, resumed after %d: %+v, want %+v", name, cut, b.State(), a.State())
			}
		}
	}
}

func TestPlateauEdges(t *testing.T) {
	o, _ := schedule.Types.Default("plateau")
	s := o.New(0.1, true)
	for _, v := range []float64{math.NaN(), 0.5, math.NaN()} {
		s.Eval(v)
	}
	if got := s.LR(schedule.Progress{}); !near(got, 0.001) {
		t.Errorf("rate after two NaN = %v, want 0.001", got)
	}
	if _, err := json.Marshal(s.State()); err != nil {
		t.Errorf("state after a NaN: %v", err)
	}
	s = o.New(1e-7, true) // already below min_lr
	s.Eval(1)
	s.Eval(0)
	if got := s.LR(schedule.Progress{}); got != 1e-7 {
		t.Errorf("rate below min_lr became %v", got)
	}
	if err := s.Load(schedule.State{}); err == nil {
		t.Error("loaded an empty state")
	}
}

func TestOptions(t *testing.T) {
	if got, want := schedule.Types.Names(), []string{"constant", "cosine", "linear", "plateau", "step"}; !slices.Equal(got, want) {
		t.Errorf("names %v, want %v", got, want)
	}
	for _, tc := range []struct{ yaml, want string }{
		{"constant", ""},
		{"{type: linear, warmup_steps: 10}", ""},
		{"{type: cosine, warmup_ratio: 0.1, min_lr_rate: 0.01}", ""},
		{"{type: step, every: 3, unit: step}", ""},
		{"{type: plateau, patience: 2}", ""},
		{"{type: linear, warmup_steps: -1}", "warmup_steps: must not be negative, have -1"},
		{"{type: cosine, warmup_ratio: 1.5}", "warmup_ratio: must be in [0, 1], have 1.5"},
		{"{type: cosine, num_cycles: 0}", "num_cycles: must be above 0, have 0"},
		{"{type: cosine, min_lr_rate: 2}", "min_lr_rate: must be in [0, 1], have 2"},
		{"{type: step, every: 0}", "every: must be at least 1, have 0"},
		{"{type: step, unit: day}", `unit: must be epoch or step, have "day"`},
		{"{type: step, gamma: 0}", "gamma: must be above 0, have 0"},
		{"{type: plateau, factor: 1}", "factor: must be in (0, 1), have 1"},
		{"{type: plateau, patience: -1, cooldown: -2}", "cooldown: must not be negative, have -2"},
	} {
		var n yaml.Node
		if err := yaml.Unmarshal([]byte(tc.yaml), &n); err != nil {
			t.Fatal(err)
		}
		p := &registry.Problems{}
		o := schedule.Types.Decode(n.Content[0], p, "schedule")
		switch err := p.Err(); {
		case tc.want == "" && err != nil:
			t.Errorf("%s: %v", tc.yaml, err)
		case tc.want == "" && o == nil:
			t.Errorf("%s: no options", tc.yaml)
		case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s: %v, want %q", tc.yaml, err, tc.want)
		}
	}
}
