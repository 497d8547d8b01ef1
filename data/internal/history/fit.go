package history

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/splice-ml/splice/data"
)

// Place returns the place of the history among the features; candidates have an item before it.
func Place(candidates bool) int {
	if candidates {
		return 1
	}
	return 0
}

// Fit returns the feature map of a log, with histories of up to maxLen items; rows of candidates have an item besides. What is known of items follows from their ids, in the item's column and at each position of the
func Fit(l *Log, sides []Side, candidates bool, maxLen int) *data.FeatureMap {
	count := make([]int64, len(l.Names))
	for _, i := range l.Item {
		count[i]++
	}
	v := vocabulary(TableName, l.Names, count)
	m := &data.FeatureMap{Version: data.MapVersion, Rows: int64(len(l.Item)), Tables: []*data.Vocabulary{v}}
	if candidates {
		m.Features = append(m.Features, data.MapFeature{Name: ItemColumn, Table: v.Name})
	}
	sequence := data.MapFeature{
		Name: HistoryColumn, Kind: data.Sequence, Table: v.Name, Separator: "|", MaxLen: maxLen, Pool: data.PoolMean,
		Keep: data.KeepLast,
	}
	m.Features = append(m.Features, sequence)
	for _, s := range sides {
		t := vocabulary(s.Name, s.Value, count)
		t.Of = make([]int32, v.Size())
		t.Of[data.OOVID] = data.OOVID
		for i, name := range l.Names {
			t.Of[v.ID([]byte(name))] = t.ID([]byte(s.Value[i]))
		}
		m.Tables = append(m.Tables, t)
		if candidates {
			m.Features = append(m.Features, data.MapFeature{Name: s.Name, Table: s.Name, From: ItemColumn})
		}
		sequence.Name, sequence.Table, sequence.From = Beside(s.Name), s.Name, HistoryColumn
		m.Features = append(m.Features, sequence)
	}
	return m
}

// vocabulary returns the table of tokens, each of which counts as often as it says. A blank is none.
func vocabulary(table string, tokens []string, count []int64) *data.Vocabulary {
	sum := map[string]int64{}
	v := &data.Vocabulary{Name: table, Counts: make([]int64, data.FirstID)}
	for i, t := range tokens {
		if t == "" {
			v.Counts[data.OOVID] += count[i]
			continue
		}
		sum[t] += count[i]
	}
	v.Tokens = slices.SortedFunc(maps.Keys(sum), func(a, b string) int { return cmp.Or(cmp.Compare(sum[b], sum[a]), strings.Compare(a, b)) })
	for _, t := range v.Tokens {
		v.Counts = append(v.Counts, sum[t])
	}
	return v
}

// CheckMap returns why m cannot be the map of the rows, of whose items something is known by the names of sides.
func CheckMap(m *data.FeatureMap, sides []string, candidates bool) error {
	if err := m.Check(); err != nil {
		return fmt.Errorf("data: feature map: %w", err)
	}
	var want, have []string
	columns := func(item, beside string) {
		if candidates {
			want = append(want, item)
		}
		want = append(want, beside)
	}
	columns(ItemColumn, HistoryColumn)
	for _, s := range sides {
		columns(s, Beside(s))
	}
	for _, f := range m.Features {
		have = append(have, f.Name)
	}
	if !slices.Equal(have, want) || m.Features[Place(candidates)].Kind != data.Sequence || m.Table(TableName) == nil {
		return errors.New("data: the feature map is not one of interactions with these rows; was it made for other data?")
	}
	return nil
}
