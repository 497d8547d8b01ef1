package merge

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/align"
	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/train/run"
)

// Files merges checkpoints that are nothing but tensors, tensor by tensor, into a model file in the directory. It returns the file's
// path. The result is not evaluated. Files uses Dir, Options, Settings, Seed, Overwrite and Log of the job.
func (j *Job) Files(ctx context.Context, parents []*cki.Parent) (string, error) {
	if err := cki.Check(parents); err != nil {
		return "", run.BadInput(err)
	}
	if j.Options.Align.Match != align.None {
		return "", run.BadInput(errors.New("cki: merge.align.match: alignment needs the model: " +
			"give data and model in the config, or runs as parents"))
	}
	for _, p := range parents {
		if samePath(run.Of(p.Name), j.Dir) {
			return "", run.BadInput(overParent(p))
		}
	}
	prepare := run.PrepareOptions{Overwrite: j.Overwrite, Inputs: j.Inputs}
	if err := prepare.Check(j.Dir); err != nil {
		return "", run.BadInput(err)
	}
	selected, err := cki.Selection(j.Options.Select, parents[0])
	if err != nil {
		return "", run.BadInput(err)
	}
	in := &cki.Input{Parents: parents, Select: selected, Seed: j.Seed, Log: j.Log}
	m, err := j.Options.Method.Merge(ctx, in)
	if err != nil {
		return "", run.BadInput(err)
	}
	from, err := j.provenance(parents, compare.RowMerge)
	if err != nil {
		return "", err
	}
	meta, err := json.Marshal(from)
	if err != nil {
		return "", err
	}
	if err := run.Prepare(j.Dir, prepare); err != nil {
		return "", err
	}
	out := filepath.Join(j.Dir, run.ModelFile)
	if err := in.Write(out, m, map[string]string{"format": "pt", run.MergeKey: string(meta)}); err != nil {
		return "", run.BadInput(err)
	}
	if parents[0].Published != "" {
		if err := run.CopyText(j.Dir, parents[0].Published); err != nil {
			return "", err
		}
	}
	return out, writeJSON(j.Dir, run.MergeFile, from)
}
