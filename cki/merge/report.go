package merge

import (
	"cmp"
	"context"
	"fmt"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cki/report"
)

// barrierPoints is the number of models along the line between two parents, both ends included, unless the options say another one.
const barrierPoints = 5

// Report returns the report of an outcome. It has the rows, the models along the lines between the parents, and what became of
// each tensor.
func (j *Job) Report(ctx context.Context, l *cki.Lab, out *compare.Outcome, from *Provenance) (*report.Report, error) {
	metrics, err := l.Metrics()
	if err != nil {
		return nil, err
	}
	result, parent := out.Rows.Get(out.Passed), out.Rows.Get(compare.RowBestParent)
	switch {
	case out.Guarded && out.Result == nil:
		result = out.Rows.Get(compare.RowRounds)
	case out.Guarded:
		result = out.Rows.Get(compare.RowMerge)
	case parent == nil: // one model was trained in rounds, and compared with none
		parent = result
	}
	m := l.Monitor()
	r := &report.Report{
		Title: fmt.Sprintf("Merge of %s on %s", j.Model, j.Data), Settings: from.Settings, Model: j.Model, Data: j.Data,
		Synthetic: l.Data.Synthetic != nil, Seed: j.Seed, Protocol: l.Protocol(),
		Metrics: metrics, Rows: out.Rows.Report(), Stats: out.Stats, BestParent: string(parent.Name),
		Guard: report.Guard{
			On: j.Options.Guard, Kept: out.Guarded, Passed: string(out.Passed), Result: report.Float(result.Valid[m]),
			Parent: report.Float(parent.Valid[m]),
		},
	}
	r.Method, _ = cki.Registry.NameOf(j.Options.Method)
	for i, m := range out.Family.Members {
		p := report.Parent{Name: m.Name, Valid: out.Rows[i].Valid}
		if i < len(from.Parents) && from.Parents[i].Name == m.Name {
			p.Digest = from.Parents[i].Digest
		}
		r.Parents = append(r.Parents, p)
	}
	if out.Result == nil { // no merge of parents
		r.Method = "rounds"
		return r, nil
	}
	for i, a := range out.Aligned {
		for _, g := range a.Groups {
			r.Groups = append(r.Groups,
				report.Group{Other: out.Family.Members[i+1].Name, Name: g.Name, Size: g.Size, Moved: g.Moved, Before: g.Before, After: g.After})
		}
	}
	if r.Barriers, err = barriers(ctx, l, out, cmp.Or(j.Options.LinePoints, barrierPoints)); err != nil {
		return nil, err
	}
	r.Tensors, err = tensors(out)
	return r, err
}

// barriers returns the lines from the base to the other parents.
func barriers(ctx context.Context, l *cki.Lab, out *compare.Outcome, points int) ([]report.Barrier, error) {
	base := out.Family.Members[0].Merged()
	var list []report.Barrier
	for k, m := range out.Family.Members {
		if k == 0 {
			continue
		}
		b := report.Barrier{Other: m.Name}
		var err error
		if b.Before, err = compare.Barrier(ctx, l, base, m.Merged(), points); err != nil {
			return nil, err
		}
		if len(out.Aligned) > 0 {
			if b.After, err = compare.Barrier(ctx, l, base, out.Merged[k].Merged(), points); err != nil {
				return nil, err
			}
		}
		list = append(list, b)
	}
	return list, nil
}

// tensors returns what became of each tensor.
func tensors(out *compare.Outcome) ([]report.TensorStats, error) {
	var list []report.TensorStats
	for _, q := range out.Result.All() {
		var plain, merged [][]float32
		for k, m := range out.Family.Members {
			plain, merged = append(plain, m.Merged().Get(q.Name).Data), append(merged, out.Merged[k].Merged().Get(q.Name).Data)
		}
		t, err := report.Tensor(q.Name, q.Shape, merged, q.Data)
		if err == nil && len(out.Aligned) > 0 {
			err = t.Unaligned(plain)
		}
		if err != nil {
			return nil, fmt.Errorf("cki: %w", err)
		}
		list = append(list, t)
	}
	return list, nil
}
