package table

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cki/report"
	"github.com/splice-ml/splice/cmd/internal/origin"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/train/metric"
)

// gridResult is the JSON file of a table that has rows. All that is printed is in it.
type gridResult struct {
	Title   string   `json:"title"`
	About   string   `json:"about,omitempty"`
	Size    string   `json:"size"`    // quick or full
	Command string   `json:"command"` // that makes it
	Pairs   int      `json:"pairs"`   // of runs, in each column
	Metrics []string `json:"metrics"`
	Costs   bool     `json:"costs,omitempty"`
	Gap     bool     `json:"gap,omitempty"`
	LeftOut []string `json:"left_out,omitempty"` // data sets whose files are not there, and that have no stand-in
	// rows that no comparison of the table has, such as the soup of the epochs of a run of one epoch
	LeftOutRows []string        `json:"left_out_rows,omitempty"`
	Made        []origin.Origin `json:"made"` // distinct dates and machines of the cells
	Columns     []*gridValues   `json:"columns"`
}

// gridValues are the values of one data set with one model.
type gridValues struct {
	Dataset    string          `json:"dataset"`
	Model      string          `json:"model,omitempty"`
	StandIn    bool            `json:"stand_in,omitempty"` // the files of the data are not there: the rows are generated
	Synthetic  bool            `json:"synthetic,omitempty"`
	Protocol   string          `json:"protocol,omitempty"` // what the metrics rank
	Metrics    []string        `json:"metrics"`            // those of the table that this data has; the first one is tested
	Statistics *job.Statistics `json:"statistics,omitempty"`
	Rows       []*rowValues    `json:"rows"`
	Cells      []*cellSettings `json:"cells"` // what the rows are from
}

// cellSettings say how a column's cells were made.
type cellSettings struct {
	Config   string   `json:"config,omitempty"`
	Set      []string `json:"set,omitempty"`
	IDs      []string `json:"ids"` // by seed: digests of the config and of the files that it reads
	Settings string   `json:"settings,omitempty"`
}

// rowValues are those of one row.
type rowValues struct {
	Label    string                  `json:"label"`
	Row      compare.RowName         `json:"row,omitempty"`
	Cell     int                     `json:"cell"`               // index in Cells
	Baseline bool                    `json:"baseline,omitempty"` // what the others are compared with
	Missing  bool                    `json:"missing,omitempty"`  // the comparison has no such row here
	Values   map[string]*gridMeasure `json:"values,omitempty"`   // by metric
	Gap      *report.Share           `json:"share_of_gap,omitempty"`
	Cost     *rowCost                `json:"cost,omitempty"`
}

// gridMeasure is a metric of a row over the pairs of runs.
type gridMeasure struct {
	Test  []report.Float     `json:"test"`  // by seed
	Valid []report.Float     `json:"valid"` // by seed
	Mean  report.Float       `json:"mean"`  // of test
	SD    report.Float       `json:"sd"`
	Gain  *report.Difference `json:"minus_best_parent,omitempty"`
}

// rowCost is what a row costs to serve and to train.
type rowCost struct {
	Parameters   int64        `json:"parameters"`
	MultiplyAdds int64        `json:"multiply_adds"` // a row, of the products of matrices
	Milliseconds report.Float `json:"milliseconds"`  // a row, on one thread
	Seconds      report.Float `json:"seconds"`       // of training, the parents' too, and of merging; mean over the pairs
}

// assemble puts the values of all cells together.
func (p *plan) assemble() (*gridResult, error) {
	g := p.grid
	r := &gridResult{Title: g.Title, About: g.About, Size: "quick", Pairs: p.size.Seeds, Metrics: g.Metrics, Costs: g.Costs, Gap: g.Gap, LeftOut: p.leftOut}
	if p.size == &g.Full {
		r.Size = "full"
	}
	for _, c := range p.columns {
		v, err := p.values(c)
		if err != nil {
			return nil, fmt.Errorf("table: %s: %w", c.name(), err)
		}
		r.Columns = append(r.Columns, v)
	}
	for i, m := range p.rows {
		if !slices.ContainsFunc(r.Columns, func(v *gridValues) bool { return !v.Rows[i].Missing }) {
			r.LeftOutRows = append(r.LeftOutRows, m.label())
		}
	}
	for _, v := range r.Columns {
		v.Rows = slices.DeleteFunc(v.Rows, func(x *rowValues) bool { return slices.Contains(r.LeftOutRows, x.Label) })
	}
	for _, x := range p.cells {
		o := x.stored.Made
		if !slices.Contains(r.Made, o) {
			r.Made = append(r.Made, o)
		}
	}
	return r, nil
}

// values returns the values of a column.
func (p *plan) values(c *gridColumn) (*gridValues, error) {
	v := &gridValues{Dataset: c.dataset.Name, StandIn: c.standIn}
	if c.model != nil {
		v.Model = c.model.Name
	}
	at := map[*cell]int{}
	var base *rowValues
	seeds := map[*rowValues][]*compare.Row{}
	for i, m := range p.rows {
		r := &rowValues{Label: m.label(), Row: m.Row, Values: map[string]*gridMeasure{}}
		v.Rows = append(v.Rows, r)
		rows := p.rowsOf(c, v, i, seeds)
		if rows == nil {
			r.Missing = true
			continue
		}
		seeds[r] = rows
		for _, name := range p.grid.Metrics {
			r.Values[name] = measureOf(rows, name)
		}
		if len(m.Best) > 0 || m.Row == compare.RowBestParent && len(m.Set) == 0 {
			r.Baseline, base = true, r
		}
		if x := c.cells[i][0]; x != nil {
			k, ok := at[x]
			if !ok {
				k = len(v.Cells)
				at[x] = k
				s := &cellSettings{Config: x.config, Set: x.set, Settings: x.stored.Settings}
				for _, y := range c.cells[i] {
					s.IDs = append(s.IDs, y.id)
				}
				v.Cells = append(v.Cells, s)
				v.Synthetic, v.Protocol = v.Synthetic || x.stored.Synthetic, x.stored.Protocol
				if x.stored.Statistics != nil && v.Statistics == nil {
					v.Statistics = x.stored.Statistics
				}
			}
			r.Cell = k
		}
	}
	for _, name := range p.grid.Metrics {
		if slices.ContainsFunc(v.Rows, func(r *rowValues) bool { return r.Values[name] != nil && len(r.Values[name].Test) > 0 }) {
			v.Metrics = append(v.Metrics, name)
		}
	}
	if len(v.Metrics) == 0 {
		return nil, fmt.Errorf("none of the metrics %s is there on test rows: add one to task.metrics, and give the data a test part",
			strings.Join(p.grid.Metrics, ", "))
	}
	if err := p.gains(c, v, base); err != nil {
		return nil, err
	}
	if p.grid.Costs {
		p.costs(c, v)
	}
	return v, nil
}

// rowsOf returns a row by seed, or nil if the comparisons do not have it. v has the rows before it, and seeds their values.
func (p *plan) rowsOf(c *gridColumn, v *gridValues, i int, seeds map[*rowValues][]*compare.Row) []*compare.Row {
	m := p.rows[i]
	var out []*compare.Row
	for seed, x := range c.cells[i] {
		var r *compare.Row
		switch {
		case len(m.Best) > 0:
			for k, other := range p.rows[:i] {
				if slices.Contains(m.Best, other.Name) && seeds[v.Rows[k]] != nil {
					y := seeds[v.Rows[k]][seed]
					name := c.cells[k][seed].stored.Metric
					if r == nil || metric.Better(name, y.Valid[name], r.Valid[name]) {
						r = y
					}
				}
			}
		case m.Row != "":
			r = x.stored.Rows.Get(m.Row)
		default:
			r = &x.stored.Rows[0]
		}
		if r == nil {
			return nil
		}
		out = append(out, r)
	}
	return out
}

// measureOf returns a metric of a row over the seeds. It has no values if it is not measured.
func measureOf(rows []*compare.Row, name string) *gridMeasure {
	m := &gridMeasure{}
	var test []float64
	for _, r := range rows {
		v, ok := r.Test[name]
		if !ok {
			return &gridMeasure{Mean: report.Float(math.NaN()), SD: report.Float(math.NaN())}
		}
		valid, ok := r.Valid[name]
		if !ok {
			valid = math.NaN()
		}
		test = append(test, v)
		m.Test, m.Valid = append(m.Test, report.Float(v)), append(m.Valid, report.Float(valid))
	}
	e := report.Mean(test)
	m.Mean, m.SD = e.Mean, e.SD
	return m
}

func floats(x []report.Float) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}

// gains sets what the rows gain over the best parent of their own merge, or over the column's baseline, and the shares of the gap.
func (p *plan) gains(c *gridColumn, v *gridValues, base *rowValues) error {
	for _, name := range v.Metrics {
		var tested []*report.Difference
		for i, r := range v.Rows {
			x := r.Values[name]
			if r.Missing || r.Baseline || x == nil || len(x.Test) == 0 {
				continue
			}
			against, all := baseline(c.cells[i], name, p.rows[i]), others(c.cells[i], name, compare.RowAllData)
			if against == nil && base != nil {
				against = base.Values[name]
			}
			if against == nil || len(against.Test) == 0 {
				continue
			}
			var err error
			if x.Gain, err = report.Bootstrap(floats(x.Test), floats(against.Test)); err != nil {
				return err
			}
			tested = append(tested, x.Gain)
			if p.grid.Gap && name == v.Metrics[0] && all != nil && len(all.Test) > 0 {
				s, err := report.GapShare(floats(x.Test), floats(against.Test), floats(all.Test))
				if err != nil {
					return err
				}
				r.Gap = &s
			}
		}
		report.Holm(tested)
	}
	return nil
}

// baseline returns a metric of the best parent in a row's own merges, or nil for another row.
func baseline(cells []*cell, name string, m *method) *gridMeasure {
	if m.Row == "" {
		return nil
	}
	return others(cells, name, compare.RowBestParent)
}

// others returns a metric of another row of the same merges, or nil if they do not have it.
func others(cells []*cell, name string, row compare.RowName) *gridMeasure {
	var rows []*compare.Row
	for _, x := range cells {
		if x == nil {
			return nil
		}
		r := x.stored.Rows.Get(row)
		if r == nil {
			return nil
		}
		rows = append(rows, r)
	}
	return measureOf(rows, name)
}

// costs sets what the rows cost.
func (p *plan) costs(c *gridColumn, v *gridValues) {
	var first *stored // the merge of this column that was measured
	for i := range p.rows {
		if x := c.cells[i][0]; first == nil && x != nil && x.kind == kindMerge {
			first = x.stored
		}
	}
	for i, r := range v.Rows {
		m := p.rows[i]
		if r.Missing || len(m.Best) > 0 {
			continue
		}
		s := c.cells[i][0].stored
		from := s
		if s.Kind == kindMerge {
			from = first
		}
		if from.Single == nil {
			continue
		}
		one, models := *from.Single, 1
		switch {
		case m.Row == compare.RowEnsemble && from.Together != nil && from.Parents == s.Parents:
			one = *from.Together
		case m.Row == compare.RowEnsemble:
			models = s.Parents
		case m.Row == compare.RowEnsembleOfTwo:
			models = 2
		}
		r.Cost = &rowCost{
			Parameters: one.Parameters * int64(models), MultiplyAdds: one.MultiplyAdds * int64(models),
			Milliseconds: report.Float(one.Milliseconds * float64(models)), Seconds: report.Float(meanSeconds(c.cells[i], m)),
		}
	}
}

// meanSeconds returns how long the training and merging of a row took, on average over the seeds.
func meanSeconds(cells []*cell, m *method) float64 {
	var sum float64
	for _, x := range cells {
		if m.Row == "" {
			sum += chainSeconds(x, map[*cell]bool{})
		} else {
			sum += rowSeconds(x.stored, m.Row)
		}
	}
	return sum / float64(len(cells))
}

// chainSeconds returns how long a training took, with all that it and the members of an ensemble start from.
func chainSeconds(x *cell, seen map[*cell]bool) float64 {
	if seen[x] {
		return 0
	}
	seen[x] = true
	sum := 0.
	if x.kind == kindTrain {
		sum = x.stored.Rows[0].Seconds
	}
	for _, other := range x.members {
		sum += chainSeconds(other, seen)
	}
	return sum
}

// ofBase are the rows that need no parent but the base, and ofNone those that need none.
var (
	ofBase = []compare.RowName{
		compare.RowBase, compare.RowPruneSigned, compare.RowPruneMagnitude, compare.RowBaseTrained, compare.RowHalfHeadTrained,
		compare.RowPermutedTrained, compare.RowEpochSoup, compare.RowBaseMovingAverage,
	}
	ofNone = []compare.RowName{compare.RowLonger, compare.RowEqualCompute, compare.RowAllData}
)

// startOf are the rows from which others go on, whose seconds do not count what they start from.
var startOf = map[compare.RowName]compare.RowName{
	compare.RowCKITrained: compare.RowCKI, compare.RowMergeTrained: compare.RowMerge, compare.RowAverageTrained: compare.RowAverage,
	compare.RowMergeHardLabels: compare.RowMerge, compare.RowMergeSelfTeacher: compare.RowMerge,
}

// rowSeconds returns how long a row of a merge took: its own training and merging, what it starts from, and the training of the parents
// that it needs. What is passed on needs what was compared: both parents, and the merge.
func rowSeconds(s *stored, name compare.RowName) float64 {
	own := func(n compare.RowName) float64 {
		if r := s.Rows.Get(n); r != nil {
			return r.Seconds
		}
		return 0
	}
	sum := own(name) + own(startOf[name])
	for round := 2; ; round++ {
		if s.Rows.Get(compare.RoundRow(round)) == nil {
			break
		}
		if name == compare.RoundRow(round) {
			for k := 1; k < round; k++ {
				sum += own(compare.RoundRow(k))
			}
		}
	}
	if name == rowPassed {
		sum += own(s.Passed)
		if s.Passed != compare.RowMerge {
			sum += own(compare.RowMerge)
		}
	}
	var parents float64
	other := false
	for k, r := range s.Rows[:s.Parents] {
		parents += r.Seconds
		other = other || k > 0 && r.Name == name
	}
	switch {
	case slices.Contains(ofNone, name):
		return sum
	case name == compare.RowBase || other:
		return sum + s.TrunkSeconds
	case slices.Contains(ofBase, name):
		return sum + s.TrunkSeconds + own(compare.RowBase)
	}
	return sum + s.TrunkSeconds + parents
}
