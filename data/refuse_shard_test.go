package data_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"

	"github.com/splice-ml/splice/data/datatest"
	_ "github.com/splice-ml/splice/data/set"
)

// foreign is a source that shards know nothing of.
type foreign struct{ data.Source }

func TestShardRefuses(t *testing.T) {
	mem := memory(t, 10)
	for _, c := range []struct {
		name string
		src  data.Source
		o    data.ShardOptions
		want string
	}{
		{"no options", mem, data.ShardOptions{}, "by is missing"},
		{"count", mem, data.ShardOptions{By: "rows", Count: -1}, "must be at least 1, have -1"},
		{"too many", mem, data.ShardOptions{By: "rows", Count: 11}, "11 shards of 10 rows; make fewer"},
		{
			"unknown", mem,
			data.ShardOptions{By: "usr", Count: 2},
			`shards by "usr": there is no such feature; want rows, order or a categorical feature: user`,
		},
		{
			"numeric", mem,
			data.ShardOptions{By: "age", Count: 2},
			`shards by "age": it is numeric, a row has no one id of it; want rows, order or a categorical feature: user`,
		},
		{"multi", mem, data.ShardOptions{By: "tags", Count: 2}, `shards by "tags": it is multi`},
		{"foreign", foreign{mem}, data.ShardOptions{By: "rows", Count: 2}, "a data_test.foreign cannot be taken apart"},
		{"none", nil, data.ShardOptions{By: "rows", Count: 2}, "there are no rows"},
	} {
		_, err := data.Shard(t.Context(), c.src, c.o, nil)
		if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "by: ", "by "), strings.ReplaceAll(c.want, "by: ", "by ")) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	one, err := data.Shard(t.Context(), mem, data.ShardOptions{By: "user", Count: 10}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := data.Shard(t.Context(), one[0], data.ShardOptions{By: "user", Count: 2}, nil); err == nil ||
		!strings.Contains(err.Error(), "2 shards of 1 rows") {
		t.Errorf("two shards of one row: %v", err)
	}
	o, _ := datatest.Options(t)
	s := datatest.Open(t, datatest.Section(t, strings.ReplaceAll(datatest.NumberedSection, "FILE", datatest.Numbered(t, 1000))+"}"), o)
	if _, err := data.Shard(t.Context(), s.Train, data.ShardOptions{By: "a", Count: 301}, s.Map); err == nil ||
		!strings.Contains(err.Error(), "it has 300 values in 1000 rows") {
		t.Errorf("more shards than values: %v", err)
	}
	for _, share := range []float64{0, -1, 1.5, math.NaN()} {
		if _, err := data.Head(mem, share, 1); err == nil || !strings.Contains(err.Error(), "want one in (0, 1]") {
			t.Errorf("a share of %g: %v", share, err)
		}
	}
	empty, err := data.FromRows(mem.Schema(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := data.Head(empty, .5, 1); err == nil {
		t.Error("a share of no rows: no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := data.Shard(ctx, s.Train, data.ShardOptions{By: "a", Count: 2}, s.Map); err == nil ||
		!strings.Contains(err.Error(), "canceled") {
		t.Errorf("a cancelled context: %v", err)
	}
}
