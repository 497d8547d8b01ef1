package session

import (
	"context"
	"fmt"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cki/report"
	"github.com/splice-ml/splice/data"
)

// barrierPoints are the models along the line between two parents, both ends included.
const barrierPoints = 5

// metricNames returns the task's metrics, the one that selection goes by first.
func (s *Session) metricNames(monitor string) ([]string, error) {
	ms, err := s.Task.Metrics()
	if err != nil {
		return nil, err
	}
	names := []string{monitor}
	for _, m := range ms {
		if m.Name() != monitor {
			names = append(names, m.Name())
		}
	}
	return names, nil
}

// writeReport writes report.json, report.md and figures of a merge.
func (s *Session) writeReport(ctx context.Context, l *cki.Lab, d *data.Splits, out *compare.Outcome, t *compare.Table, p *provenance) error {
	names, err := s.metricNames(t.Metric)
	if err != nil {
		return err
	}
	r := &report.Report{
		Title: fmt.Sprintf("Merge of %s on %s", t.Model, t.Data), Settings: p.Settings, Model: t.Model, Data: t.Data, Synthetic: d.Synthetic != nil, Seed: s.Seed,
		Metrics: names, Rows: out.Rows.Report(), Stats: out.Stats,
	}
	r.Method, _ = cki.Registry.NameOf(s.Merge.Method)
	result := out.Rows.Get(out.Passed)
	if out.Guarded {
		result = out.Rows.Get(compare.RowMerge)
	}
	parent := out.Rows.Get(compare.RowBestParent)
	r.BestParent = string(parent.Name)
	r.Guard = report.Guard{
		On: s.Merge.Guard, Kept: out.Guarded, Passed: string(out.Passed), Result: report.Float(result.Valid[t.Metric]), Parent: report.Float(parent.Valid[t.Metric]),
	}
	for i, m := range out.Family.Members {
		r.Parents = append(r.Parents, report.Parent{Name: m.Name, Digest: p.Parents[i].Digest, Valid: out.Rows[i].Valid})
	}
	for i, a := range out.Aligned {
		for _, g := range a.Groups {
			r.Groups = append(r.Groups, report.Group{Other: out.Family.Members[i+1].Name, Name: g.Name, Size: g.Size, Moved: g.Moved, Before: g.Before, After: g.After})
		}
	}
	if err := s.barriers(ctx, l, out, r); err != nil {
		return err
	}
	if err := tensorStats(out, r); err != nil {
		return err
	}
	return r.Write(s.Dir)
}

// barriers adds the lines from the base to the other parents.
func (s *Session) barriers(ctx context.Context, l *cki.Lab, out *compare.Outcome, r *report.Report) error {
	base := out.Family.Members[0]
	line := func(k int, members []*cki.Member) ([]report.Point, error) {
		return compare.Barrier(ctx, l, base.Merged(), members[k].Merged(), barrierPoints)
	}
	for k, m := range out.Family.Members[1:] {
		b := report.Barrier{Other: m.Name}
		var err error
		if b.Before, err = line(k+1, out.Family.Members); err != nil {
			return err
		}
		if len(out.Aligned) > 0 {
			if b.After, err = line(k+1, out.Merged); err != nil {
				return err
			}
		}
		r.Barriers = append(r.Barriers, b)
	}
	return nil
}

// tensorStats adds what became of each tensor.
func tensorStats(out *compare.Outcome, r *report.Report) error {
	for _, q := range out.Result.All() {
		var plain, merged [][]float32
		for k, m := range out.Family.Members {
			plain, merged = append(plain, m.Merged().Get(q.Name).Data), append(merged, out.Merged[k].Merged().Get(q.Name).Data)
		}
		t, err := report.Tensor(q.Name, q.Shape, merged, q.Data)
		if err != nil {
			return fmt.Errorf("cki: %w", err)
		}
		if len(out.Aligned) > 0 {
			if err := t.Unaligned(plain); err != nil {
				return fmt.Errorf("cki: %w", err)
			}
		}
		r.Tensors = append(r.Tensors, t)
	}
	return nil
}
