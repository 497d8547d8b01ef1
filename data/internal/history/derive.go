package history

import (
	"iter"

	"github.com/splice-ml/splice/data"
)

// Derived returns the rows of src with what follows from their items, as m says. They have the features of schema.
func Derived(src data.Source, m *data.FeatureMap, schema *data.Schema) data.Source {
	if m.Stored() == m {
		return src
	}
	return derived{src, m, schema}
}

// derived is a source of rows with what follows from their items.
type derived struct {
	data.Source
	m      *data.FeatureMap
	schema *data.Schema
}

// Schema returns all features.
func (s derived) Schema() *data.Schema { return s.schema }

// Batches returns the rows of an epoch.
func (s derived) Batches(epoch, size int) iter.Seq2[*data.Batch, error] {
	return func(yield func(*data.Batch, error) bool) {
		more := data.NewBatch(s.schema, max(size, 0)).IDs
		for b, err := range s.Source.Batches(epoch, size) {
			if b != nil {
				for name, ids := range more {
					if _, ok := b.IDs[name]; !ok {
						b.IDs[name] = ids
					}
				}
				s.m.Derive(b)
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

// DerivedEncoder returns an encoder of rows with what follows from their items, as m says. e encodes the columns that rows have.
func DerivedEncoder(e data.RowEncoder, m *data.FeatureMap) data.RowEncoder {
	if m.Stored() == m {
		return e
	}
	return derivedEncoder{e, m, m.Schema(false)}
}

// derivedEncoder encodes rows with what follows from their items.
type derivedEncoder struct {
	data.RowEncoder
	m      *data.FeatureMap
	schema *data.Schema
}

// Schema returns all features.
func (e derivedEncoder) Schema() *data.Schema { return e.schema }

// Encode makes rows the rows of b.
func (e derivedEncoder) Encode(b *data.Batch, rows ...map[string]any) error {
	if err := e.RowEncoder.Encode(b, rows...); err != nil {
		return err
	}
	e.m.Derive(b)
	return nil
}
