package data_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"

	"github.com/splice-ml/splice/data/datatest"
	_ "github.com/splice-ml/splice/data/set"
)

// Few rows far apart are read one by one, neighbours with what is between them.
func TestSparseHead(t *testing.T) {
	const n = 60_000
	o, _ := datatest.Options(t)
	s := datatest.Open(t, datatest.Section(t, strings.ReplaceAll(datatest.NumberedSection, "FILE", datatest.Numbered(t, n))+"}"), o)
	for _, rows := range []int{1, 2, 4, 30, 1000} {
		head, err := data.Head(s.Train, float64(rows)/n, 7)
		if err != nil {
			t.Fatal(err)
		}
		got := sorted(datatest.NumberedIn(t, s.Map, head.Batches(0, 64)))
		if len(got) != rows || len(slices.Compact(got)) != rows {
			t.Errorf("%d rows, want %d", len(got), rows)
		}
	}
	tiny, err := data.Head(s.Train, 1e-9, 7)
	if err != nil || tiny.Rows() != 1 {
		t.Errorf("a share of less than a row: %v rows, %v; want one row", tiny, err)
	}
}

func TestReorder(t *testing.T) {
	for _, s := range shardSources(t, 12_000) {
		t.Run(s.name, func(t *testing.T) {
			s.read = byGroup
			was := s.read(t, s.src.Batches(1, 512))
			one, err := data.Reorder(s.src, 1)
			if err != nil {
				t.Fatal(err)
			}
			two, err := data.Reorder(one, 2)
			if err != nil {
				t.Fatal(err)
			}
			a, b := checkEpochs(t, s, one, datatest.Count(12_000)), checkEpochs(t, s, two, datatest.Count(12_000))
			if slices.Equal(a, b) || slices.Equal(a, was) {
				t.Error("another seed has the same order")
			}
			back, err := data.Reorder(two, 1)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(s.read(t, back.Batches(1, 512)), a) {
				t.Error("the same seed has another order")
			}
			if !slices.Equal(s.read(t, s.src.Batches(1, 512)), was) {
				t.Error("the source's own order has changed")
			}
		})
	}
}

// Reordering by the seed that a data set was opened with changes nothing.
func TestReorderIsTheRunsSeed(t *testing.T) {
	path := datatest.Numbered(t, 5000)
	orders := map[uint64]data.Source{}
	var m *data.FeatureMap
	for _, seed := range []uint64{5, 6} {
		o, _ := datatest.Options(t)
		o.Seed = seed
		s := datatest.Open(t, datatest.Section(t, strings.ReplaceAll(datatest.NumberedSection, "FILE", path)+"}"), o)
		orders[seed], m = s.Train, s.Map
	}
	six, err := data.Reorder(orders[5], 6)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(datatest.NumberedIn(t, m, six.Batches(3, 512)), datatest.NumberedIn(t, m, orders[6].Batches(3, 512))) {
		t.Error("the order of a seed is not that of a run with this seed")
	}
}
