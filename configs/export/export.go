// Package export writes a finished run in the forms of other tools: an ONNX file with what it is fed, a table of embeddings, a model card, a
// repository of a model hub.
package export

import (
	"fmt"
	"path/filepath"

	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/run"
)

// opened is a run with its weights as float32, whatever its serve section says.
type opened struct {
	*job.Run
	schema *data.Schema
	params *nn.Params
}

func open(r *job.Run) (*opened, error) {
	e, err := r.Data.Encoder(r.Map)
	if err != nil {
		return nil, run.BadInput(err)
	}
	p, err := models.BlankParams(r.Model, e.Schema())
	if err != nil {
		return nil, run.BadInput(err)
	}
	if err := train.LoadParams(filepath.Join(r.Dir, run.ModelFile), p); err != nil {
		return nil, run.BadInput(err)
	}
	return &opened{r, e.Schema(), p}, nil
}

// bad is an error about a run that the user can mend.
func bad(r *job.Run, format string, args ...any) error {
	return run.BadInput(fmt.Errorf("%s: %w", r.Dir, fmt.Errorf(format, args...)))
}
