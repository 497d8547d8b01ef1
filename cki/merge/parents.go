package merge

import (
	"fmt"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train/run"
)

// OpenParents opens parents with [cki.Open]. The error lists everything that cannot be opened. CloseParents closes the parents.
func OpenParents(paths []string, m models.Model) ([]*cki.Parent, error) {
	var parents []*cki.Parent
	var errs []error
	for _, path := range paths {
		p, err := cki.Open(path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		parents = append(parents, p)
	}
	if len(errs) > 0 {
		CloseParents(parents)
		return nil, run.BadInput(bound.Join(errs...))
	}
	cki.Import(parents, m)
	if err := cki.Reconcile(parents); err != nil {
		CloseParents(parents)
		return nil, run.BadInput(err)
	}
	return parents, nil
}

// CloseParents closes the parents' files.
func CloseParents(parents []*cki.Parent) {
	for _, p := range parents {
		p.Close()
	}
}

// ResultMap returns the feature map that the result of merging parents has. vocabulary is that of the merge section. The map is nil if
// the parents have none.
func ResultMap(parents []*cki.Parent, vocabulary string) (*data.FeatureMap, error) {
	if len(parents) == 0 || parents[0].Map == nil {
		return nil, nil
	}
	if vocabulary != cki.VocabularyUnion {
		return parents[0].Map, nil
	}
	var others []*data.FeatureMap
	for _, p := range parents[1:] {
		others = append(others, p.Map)
	}
	m, err := data.Union(parents[0].Map, others...)
	return m, run.BadInput(err)
}

// load reads a parent as parameters of the Lab's model.
func load(l *cki.Lab, p *cki.Parent) (*nn.Params, error) {
	q, err := l.BlankParams()
	if err != nil {
		return nil, err
	}
	if err := cki.Load(p, q); err != nil {
		return nil, run.BadInput(fmt.Errorf("cki: parent %s: %w", p.Name, err))
	}
	return q, nil
}

// Provenance says what a model was merged from. It is the content of merge.json.
type Provenance struct {
	Parents  []Origin        `json:"parents"`
	Passed   compare.RowName `json:"passed"`   // the row of the comparison that the model is
	Settings string          `json:"settings"` // the merge section, as YAML
	Seed     uint64          `json:"seed"`
}

// Origin is a parent of a merge.
type Origin struct {
	Name   string `json:"name"`
	Digest string `json:"digest"` // of its tensors: see [cki.Digest]
}

func (j *Job) provenance(parents []*cki.Parent, passed compare.RowName) (*Provenance, error) {
	p := &Provenance{Passed: passed, Settings: j.Settings, Seed: j.Seed}
	for _, q := range parents {
		d, err := cki.Digest(q)
		if err != nil {
			return nil, err
		}
		p.Parents = append(p.Parents, Origin{q.Name, d})
	}
	return p, nil
}
