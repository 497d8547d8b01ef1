package figures

import (
	"encoding/json"
	"fmt"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/data/bound"
)

func readJSON(path string, v any) error {
	b, err := bound.ReadFile(path, bound.JSON)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// tensor reads a matrix of a model.
func tensor(path, name string) (values []float32, rows, columns int, err error) {
	p, err := cki.Open(path)
	if err != nil {
		return nil, 0, 0, err
	}
	defer p.Close()
	var names []string
	for _, t := range p.Tensors() {
		names = append(names, t.Name)
		if t.Name != name {
			continue
		}
		if len(t.Shape) != 2 {
			return nil, 0, 0, fmt.Errorf("%s: tensor %s of shape %v is no matrix", path, name, t.Shape)
		}
		values = make([]float32, t.Shape[0]*t.Shape[1])
		return values, t.Shape[0], t.Shape[1], p.ReadRows(name, 0, t.Shape[0], values)
	}
	return nil, 0, 0, fmt.Errorf("%s: there is no tensor %s; it has %v", path, name, names)
}
