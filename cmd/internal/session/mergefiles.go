package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/align"
	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cmd/internal/cli"
	"github.com/splice-ml/splice/train/run"
)

// mergeFiles merges checkpoints of which nothing but the tensors is known, tensor by tensor. The result is not evaluated.
func (s *Session) mergeFiles(ctx context.Context, o CKIOptions) error {
	if err := s.setup(); err != nil {
		return err
	}
	parents, err := openParents(s.Merge.Parents)
	if err != nil {
		return cli.BadInput(err)
	}
	defer closeAll(parents)
	if o.Check {
		return s.check(parents)
	}
	if err := cki.Check(parents); err != nil {
		return cli.BadInput(err)
	}
	if s.Merge.Align.Match != align.None {
		return cli.BadInput(errors.New("cki: merge.align.match: alignment needs the model: give data and model in the config, or runs as parents"))
	}
	out := filepath.Join(s.Dir, run.ModelFile)
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	prepare := run.PrepareOptions{Overwrite: o.Overwrite}
	if err := prepare.Check(s.Dir); err != nil {
		return cli.BadInput(err)
	}
	sel, err := cki.Selection(s.Merge.Select, parents[0])
	if err != nil {
		return cli.BadInput(err)
	}
	in := &cki.Input{Parents: parents, Select: sel, Seed: s.Seed, Log: s.Log}
	m, err := s.Merge.Method.Merge(ctx, in)
	if err != nil {
		return cli.BadInput(err)
	}
	if err := run.Prepare(s.Dir, prepare); err != nil {
		return err
	}
	p, err := s.provenance(parents, string(compare.RowMerge))
	if err != nil {
		return err
	}
	meta, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := in.Write(out, m, map[string]string{"splice.merge": string(meta)}); err != nil {
		return cli.BadInput(err)
	}
	if err := s.writeJSON(run.MergeFile, p); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.Out, "merged %d checkpoints, %d tensors, into %s; it was not evaluated: the config has no data and model\n", len(parents), len(parents[0].Tensors()), out)
	return err
}

func closeAll(parents []*cki.Parent) {
	for _, p := range parents {
		p.Close()
	}
}

// provenance is merge.json.
type provenance struct {
	Parents  []origin `json:"parents"`
	Passed   string   `json:"passed"`   // the row of the comparison that the model is
	Settings string   `json:"settings"` // the merge section, as YAML
	Seed     uint64   `json:"seed"`
}

type origin struct {
	Name   string `json:"name"`
	Digest string `json:"digest"` // XXH64 of the names, shapes and values of its tensors
}

func (s *Session) provenance(parents []*cki.Parent, passed string) (*provenance, error) {
	p := &provenance{Passed: passed, Seed: s.Seed}
	for _, q := range parents {
		d, err := cki.Digest(q)
		if err != nil {
			return nil, err
		}
		p.Parents = append(p.Parents, origin{q.Name, d})
	}
	y, err := s.MergeYAML()
	if err != nil {
		return nil, err
	}
	p.Settings = string(y)
	return p, nil
}

// membersAsParents returns members as what a merge reads.
func membersAsParents(f *cki.Family) []*cki.Parent {
	var out []*cki.Parent
	for _, m := range f.Members {
		out = append(out, &cki.Parent{Name: m.Name, Reader: cki.Memory(m.Params)})
	}
	return out
}
