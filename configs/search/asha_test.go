package search

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/splice-ml/splice/train"
)

func TestRungs(t *testing.T) {
	for _, tc := range []struct {
		asha ASHA
		want []int // evaluations at which a rung is
	}{
		{ASHA{Min: 1, Factor: 4}, []int{1, 4, 16, 64}},
		{ASHA{Min: 2, Factor: 3}, []int{2, 6, 18, 54}},
		{ASHA{Min: 5, Factor: 2}, []int{5, 10, 20, 40, 80}},
	} {
		var got []int
		for n := range 101 {
			if rung, ok := tc.asha.at(n); ok {
				if rung != len(got) {
					t.Errorf("%+v: %d evaluations are rung %d, want %d", tc.asha, n, rung, len(got))
				}
				got = append(got, n)
			}
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%+v: rungs after %v evaluations, want %v", tc.asha, got, tc.want)
		}
	}
}

// TestKeeps computes by hand which of 9 values go on with a factor of 3: the best floor(n/3) of n, and the best one of fewer than 3.
func TestKeeps(t *testing.T) {
	a := ASHA{Min: 1, Factor: 3}
	values := []float64{.5, .6, .4, .45, .3, .44, .41, .2, .4}
	want := []bool{
		true,  // alone
		false, // the 2nd of 2
		true,  // the 1st of 3
		false, // the 2nd of 4, of which 1 goes on
		true,  // the 1st of 5
		false, // .44 is the 3rd of 6 (.3, .4), of which 2 go on
		false, // .41 is the 3rd of 7
		true,  // the 1st of 8
		true,  // .4 is, with an equal one, the 3rd of 9 (.2, .3), of which 3 go on
	}
	for i, v := range values {
		if got := a.keeps(v, values[:i]); got != want[i] {
			t.Errorf("%v after %v goes on: %v, want %v", v, values[:i], got, want[i])
		}
	}
}

// TestStopper follows a training through its evaluations.
func TestStopper(t *testing.T) {
	for _, tc := range []struct {
		name    string
		monitor string
		others  map[int][]float64
		auc     []float64
		notes   string
		stopped int // after so many evaluations
	}{
		{"alone", "auc", nil, []float64{.5, .6, .7, .7, .8}, "[0:-0.5 1:-0.6 2:-0.7]", 0},
		{"worse at the first rung", "auc", map[int][]float64{0: {-.6, -.4}}, []float64{.5, .9}, "[0:-0.5]", 1},
		{"worse at the second", "auc", map[int][]float64{0: {-.4}, 1: {-.6, -.7}}, []float64{.5, .5, .9}, "[0:-0.5 1:-0.5]", 2},
		{"its best value counts", "auc", map[int][]float64{1: {-.45}}, []float64{.5, .1, .1}, "[0:-0.5 1:-0.5]", 0},
		{"smaller is better", "logloss", map[int][]float64{0: {.3}}, []float64{.5}, "[0:0.5]", 1},
		{"no number", "auc", nil, []float64{math.NaN(), .5}, "[1:-0.5]", 0},
	} {
		var notes []string
		s := &stopper{asha: &ASHA{Min: 1, Factor: 2}, monitor: tc.monitor, others: tc.others, note: func(rung int, v float64) error {
			notes = append(notes, fmt.Sprintf("%d:%v", rung, v))
			return nil
		}}
		stopped := 0
		for i, v := range tc.auc {
			again := &stopper{asha: s.asha, monitor: s.monitor, others: s.others, note: s.note} // as if it were killed and went on
			b, err := s.SaveState()
			if err == nil {
				err = again.LoadState(b)
			}
			if err != nil {
				t.Fatal(err)
			}
			s = again
			for _, e := range []train.Event{{Kind: train.EvalStart, Split: "valid"}, {Kind: train.EvalDone, Split: "valid/ema"}} {
				if err := s.On(context.Background(), &e); err != nil {
					t.Fatal(err)
				}
			}
			err = s.On(context.Background(), &train.Event{Kind: train.EvalDone, Split: "valid", Metrics: map[string]float64{tc.monitor: v}, Step: int64(i), Steps: 100})
			if errors.Is(err, train.ErrStop) {
				stopped = i + 1
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if got := fmt.Sprint(notes); stopped != tc.stopped || got != tc.notes || s.state.Stopped != (stopped > 0) {
			t.Errorf("%s: stopped after %d evaluations, notes %s; want %d, %s", tc.name, stopped, got, tc.stopped, tc.notes)
		}
	}
	s := &stopper{asha: &ASHA{Min: 1, Factor: 2}, monitor: "auc", others: map[int][]float64{0: {-.9, -.9}}}
	last := &train.Event{Kind: train.EvalDone, Split: "valid", Metrics: map[string]float64{"auc": .5}, Step: 9, Steps: 9}
	if err := s.On(context.Background(), last); err != nil || s.state.Stopped {
		t.Errorf("a training was stopped at its end: %v", err)
	}
}

// TestBetween computes a share by hand: SS_total = 11/4, SS_within = 1/2 + 0 with n = 4 trials in b = 2 classes.
func TestBetween(t *testing.T) {
	y := []float64{0, 1, 2, 2} // mean 5/4: 25/16 + 1/16 + 9/16 + 9/16 = 11/4
	want := 1 - 3./2*.5/2.75
	if got := between([]int{0, 0, 1, 1}, y); math.Abs(got-want) > 1e-12 {
		t.Errorf("share %v, want %v", got, want)
	}
	if got := between([]int{0, 1, 0, 1}, []float64{1, 1, 2, 2}); got != 0 {
		t.Errorf("a key that does not matter has the share %v", got)
	}
	if got := between([]int{0, 0}, []float64{1, 2}); got == got {
		t.Errorf("one class has the share %v", got)
	}
	p := &Param{Kind: kindUniform, Low: 0, High: 1}
	if got := p.classes([]float64{.1, .9, .5, .5, .2, .7, .8, .95, .96}); !slices.Equal(got, []int{0, 2, 0, 0, 0, 1, 1, 2, 2}) {
		t.Errorf("classes %v", got)
	}
}
