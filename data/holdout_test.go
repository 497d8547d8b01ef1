package data_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"

	_ "github.com/splice-ml/splice/data/set"
)

// A part and its rest have every row once, whatever the source; the part's epochs differ, and the rest keeps the order.
func TestPart(t *testing.T) {
	for _, s := range shardSources(t, 12_000) {
		t.Run(s.name, func(t *testing.T) {
			part, rest, err := data.HoldOut(s.src, 0.25, 4)
			if err != nil {
				t.Fatal(err)
			}
			if part.Rows() != 3000 || rest.Rows() != 9000 {
				t.Errorf("%d and %d rows, want 3000 and 9000", part.Rows(), rest.Rows())
			}
			a, b := s.read(t, part.Batches(0, 512)), s.read(t, part.Batches(1, 512))
			r := s.read(t, rest.Batches(0, 512))
			if slices.Equal(a, b) {
				t.Error("two epochs of the part are in the same order")
			}
			if !slices.Equal(sorted(a), sorted(b)) {
				t.Error("two epochs of the part have other rows")
			}
			if got, want := sorted(append(a, r...)), sorted(s.read(t, s.src.Batches(0, 512))); !slices.Equal(got, want) {
				t.Errorf("part and rest are %d rows, want the %d of the source", len(got), len(want))
			}
			again, _, err := data.HoldOut(s.src, 0.25, 4)
			if err != nil || !slices.Equal(s.read(t, again.Batches(0, 512)), s.read(t, part.Batches(0, 512))) {
				t.Errorf("the same seed has other rows (%v)", err)
			}
		})
	}
}

func TestPartRefuses(t *testing.T) {
	src := shardSources(t, 100)[0].src
	for _, tc := range []struct {
		src   data.Source
		share float64
		want  string
	}{
		{src, 0, "a part of 0 of the rows, want one in (0, 1)"},
		{src, 1, "a part of 1 of the rows"},
		{nil, 0.5, "there are no rows"},
	} {
		if _, _, err := data.HoldOut(tc.src, tc.share, 1); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("error %v, want %q", err, tc.want)
		}
	}
}
