package job

import (
	"path/filepath"

	"github.com/splice-ml/splice/cki/merge"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/train/run"
)

// Explain finds out what the merge in a directory took from whom: see [merge.Explain].
func Explain(dir string) (*merge.Explanation, error) {
	var m models.Model
	if bound.Exists(filepath.Join(dir, run.ConfigFile)) {
		r, err := Open(dir, nil, nil)
		if err != nil {
			return nil, err
		}
		m = r.Model
	}
	return merge.Explain(dir, m)
}
