package figures

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cki/report"
	"github.com/splice-ml/splice/cmd/internal/figure"
	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/train/rounds"
)

// byRounds is the figure of training in rounds: quality by the number of merges, and by the bytes that a worker sends.
type byRounds struct {
	Config string       `yaml:"config,required"` // of cmd/cki, with merge.rounds
	Set    []string     `yaml:"set"`             // overrides
	Every  []float64    `yaml:"every,required"`  // passes between merges
	Stored *storedShare `yaml:"stored"`          // measured points of a stored table
}

// storedShare says which points of a stored table are shown.
type storedShare struct {
	File     string        `yaml:"file,required"` // JSON file of cmd/table
	Title    string        `yaml:"title,required"`
	Row      string        `yaml:"row,required"`
	Variants []storedPoint `yaml:"variants,required"`
}

// storedPoint is a variant of a stored table.
type storedPoint struct {
	Variant string `yaml:"variant,required"`
	Label   string `yaml:"label,required"`
}

// Validate reports lengths that are none.
func (b *byRounds) Validate() error {
	for _, e := range b.Every {
		if !(e > 0) {
			return registry.Field("every", "must be above 0")
		}
	}
	if len(b.Every) == 0 {
		return registry.Field("every", "is empty")
	}
	return nil
}

func (b *byRounds) name() string { return "rounds" }

func (b *byRounds) cells(_ *maker, ask asker) error {
	for _, e := range b.Every {
		set := append([]string{"merge.controls=true", "merge.guard=false", "merge.report=false", `merge.rows=["counts", "rounds", "ensemble", "all data"]`}, b.Set...)
		if err := ask(true, b.Config, append(set, fmt.Sprintf("merge.rounds.every=%v", e))...); err != nil {
			return err
		}
	}
	return nil
}

func (b *byRounds) draw(_ *maker, got [][]*cell) (*figure.Figure, error) {
	metric := got[0][0].stored.Metric
	merges := &figure.Panel{X: figure.Axis{Label: "merges in all", Log: true}, Y: figure.Axis{Label: "test " + metric}}
	bytes := &figure.Panel{X: figure.Axis{Label: "sent by each worker (MB, float32)", Log: true}, Y: figure.Axis{Label: "test " + metric}}
	inRounds := &figure.Series{Name: "one model trained in rounds", Line: true}
	sent := &figure.Series{Name: inRounds.Name, Line: true}
	order := slices.Clone(got)
	slices.SortFunc(order, func(x, y []*cell) int {
		return int(math.Copysign(1, y[0].e.Merge.Rounds.Every-x[0].e.Merge.Rounds.Every))
	})
	for _, seeds := range order {
		y, err := values(seeds, compare.RowRounds, metric)
		if err != nil {
			return nil, err
		}
		n := mergesOf(seeds[0])
		mb, err := megabytes(seeds[0])
		if err != nil {
			return nil, err
		}
		label := fmt.Sprintf("every %v passes", seeds[0].e.Merge.Rounds.Every)
		inRounds.Points = append(inRounds.Points, withLabel(figure.Over(n, y), label))
		sent.Points = append(sent.Points, withLabel(figure.Over(n*mb, y), label))
	}
	merges.Series, bytes.Series = append(merges.Series, inRounds), append(bytes.Series, sent)
	for k, row := range []struct {
		name compare.RowName
		text string
	}{{compare.RowAllData, "one run on all rows"}, {compare.RowEnsemble, "ensemble of the runs on shards"}, {compare.RowCounts, "one merge at the end"}, {compare.RowBestParent, "best run on one shard"}} {
		y, err := values(got[0], row.name, metric)
		if err != nil {
			return nil, err
		}
		for _, p := range []*figure.Panel{merges, bytes} {
			s := &figure.Series{Name: row.text, Line: true}
			mean := figure.Over(0, y)
			for i, q := range p.Series[0].Points { // one bar for each, not above one another
				at := figure.At(float64(q.X), float64(mean.Y))
				if i == k%len(p.Series[0].Points) {
					at.Low, at.High = mean.Low, mean.High
				}
				s.Points = append(s.Points, at)
			}
			p.Series = append(p.Series, s)
		}
	}
	e := got[0][0].e
	workers := 0
	if s, ok := e.Merge.Regime.(cki.Sharder); ok {
		workers, _ = s.Deal()
	}
	f := &figure.Figure{
		Title: "Training in rounds: quality by merges and bytes", Panels: []*figure.Panel{merges, bytes},
		About: []string{fmt.Sprintf("%d workers, %d passes. At each merge a worker sends all weights%s, uncompressed, whether it touched them or not; it receives as much.",
			workers, e.Train.Epochs, map[string]string{rounds.StatesRows: " and Adam's two states of each embedding row", rounds.StatesAll: " and Adam's two states of each", rounds.StatesKeep: ""}[e.Merge.Rounds.States])},
	}
	if b.Stored != nil {
		p, err := b.Stored.panel()
		if err != nil {
			return nil, err
		}
		f.Panels = append(f.Panels, p)
		f.About = append(f.About, "The last panel is of "+b.Stored.File+", whatever the size of the others.")
	}
	return f, nil
}

// mergesOf returns the number of merges of a training in rounds.
func mergesOf(x *cell) float64 { return math.Round(float64(x.e.Train.Epochs) / x.e.Merge.Rounds.Every) }

// megabytes returns what a worker sends at a merge.
func megabytes(x *cell) (float64, error) {
	p, err := cki.Open(x.dir)
	if err != nil {
		return 0, err
	}
	defer p.Close()
	if len(p.Counts) == 0 {
		return 0, errors.New(x.dir + ": the run does not say which of its tensors are tables")
	}
	var numbers float64
	for _, t := range p.Tensors() {
		n := 1.
		for _, d := range t.Shape {
			n *= float64(d)
		}
		_, table := p.Counts[t.Name]
		if states := x.e.Merge.Rounds.States; states == rounds.StatesAll || states == rounds.StatesRows && table {
			n *= 3
		}
		numbers += n
	}
	return 4 * numbers / 1e6, nil
}

// panel returns the shares of the gap that a stored table has.
func (s *storedShare) panel() (*figure.Panel, error) {
	var r struct {
		Variants []struct {
			Name string
			Rows []struct {
				Name string
				Gap  *struct{ Mean, Low, High report.Float } `json:"share_of_gap"`
			}
		}
	}
	if err := readJSON(s.File, &r); err != nil {
		return nil, err
	}
	series := &figure.Series{}
	p := &figure.Panel{Title: s.Title, X: figure.Axis{Label: "share of the gap closed (%)"}, Series: []*figure.Series{series}}
	for i, want := range s.Variants {
		p.Rows = append(p.Rows, want.Label)
		for _, v := range r.Variants {
			for _, row := range v.Rows {
				if v.Name == want.Variant && row.Name == s.Row && row.Gap != nil {
					series.Points = append(series.Points, figure.Point{X: 100 * row.Gap.Mean, Y: figure.Number(i), Low: 100 * row.Gap.Low, High: 100 * row.Gap.High})
				}
			}
		}
		if len(series.Points) != i+1 {
			return nil, fmt.Errorf("%s has not one share of a gap of row %s in variant %s", s.File, s.Row, want.Variant)
		}
	}
	return p, nil
}
