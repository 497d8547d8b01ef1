package method_test

import (
	"testing"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/mergetest"
	"github.com/splice-ml/splice/cki/method"
)

// traits are what each registered method promises.
var traits = map[string]mergetest.Traits{
	"average":         {Min: 1, Self: true, Donors: true, All: true},
	"slerp":           {Min: 2, Max: 2, Self: true, All: true}, // t is 1/2
	"task_arithmetic": {Min: 2, Self: true, Donors: true},
	"ties":            {Min: 2, Self: true, Donors: true},
	"dare":            {Min: 2, Self: true},
	"graft":           {Min: 1, Self: true, Donors: true, All: true},
	"prune":           {Min: 1, Donors: true},
	"scale":           {Min: 1, Donors: true},
	"base":            {Min: 1, Self: true, Donors: true},
	"fisher":          {Min: 1, Lab: true, Self: true, Donors: true, All: true},
	"regmean":         {Min: 1, Lab: true, Self: true, SelfWithin: 1e-6, Donors: true, All: true},
	"least_squares":   {Min: 1, Lab: true, Self: true}, // the order matters in digits that the ridge leaves open: see TestSuiteOptions
	"soup":            {Min: 1, Lab: true, Self: true, Donors: true},
	"interpolate":     {Min: 1, Lab: true, Self: true},
	"select_best":     {Min: 1, Lab: true, Self: true, Donors: true},
}

func TestSuite(t *testing.T) {
	for _, name := range cki.Registry.Names() {
		tr, ok := traits[name]
		if !ok {
			t.Errorf("method %s: say in traits what it promises", name)
			continue
		}
		m, _ := cki.Registry.Default(name)
		t.Run(name, func(t *testing.T) { mergetest.Check(t, m, tr) })
	}
}

// TestHistories runs every method over every model of histories, those that rank a catalogue among them.
func TestHistories(t *testing.T) {
	for _, name := range cki.Registry.Names() {
		m, _ := cki.Registry.Default(name)
		t.Run(name, func(t *testing.T) { mergetest.CheckHistories(t, m, traits[name]) })
	}
	t.Run("average rows: counts", func(t *testing.T) {
		mergetest.CheckHistories(t, method.Average{Rows: "counts", Smoothing: 1, Power: 1}, mergetest.Traits{Min: 1, Self: true})
	})
}

// TestSuiteOptions runs the suite on options that make another formula.
func TestSuiteOptions(t *testing.T) {
	changes := func(origin string) method.Changes {
		return method.Changes{Origin: origin, Lambda: 0.7}
	}
	for name, c := range map[string]struct {
		m  cki.Method
		tr mergetest.Traits
	}{
		"average rows: counts":     {method.Average{Rows: "counts", Smoothing: 1, Power: 1}, mergetest.Traits{Min: 1, Self: true, All: true}},
		"task_arithmetic mean":     {method.TaskArithmetic{Changes: changes("mean")}, mergetest.Traits{Min: 2, Self: true, All: true}},
		"ties mean":                {method.Ties{Changes: changes("mean"), Density: 0.5}, mergetest.Traits{Min: 2, Self: true, All: true}},
		"dare ties":                {method.Dare{Changes: changes("base"), DropRate: 0.3, Combine: "ties"}, mergetest.Traits{Min: 2, Self: true}},
		"prune magnitude":          {method.Prune{Form: "magnitude", Threshold: 0.1}, mergetest.Traits{Min: 1}},
		"prune magnitude by share": {method.Prune{Form: "magnitude", Share: 0.3}, mergetest.Traits{Min: 1}},
		"scale 1":                  {method.Scale{Factor: 1}, mergetest.Traits{Min: 1, Self: true}},
		"regmean alpha 1":          {method.RegMean{Alpha: 1, Rows: 64, BatchSize: 8}, mergetest.Traits{Min: 1, Lab: true, Self: true, SelfWithin: 1e-4}},
		"least_squares tables: counts": {
			method.LeastSquares{Tables: "counts", Rows: 48, Ridge: 0.1, BatchSize: 16}, mergetest.Traits{Min: 1, Lab: true, Self: true, Donors: true, All: true},
		},
		"interpolate grid 2": {method.Interpolate{Grid: 2, Sweeps: 1}, mergetest.Traits{Min: 1, Lab: true, Self: true}},
	} {
		t.Run(name, func(t *testing.T) { mergetest.Check(t, c.m, c.tr) })
	}
}
