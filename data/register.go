package data

import "github.com/splice-ml/splice/configs/registry"

// Datasets are the types that a `data:` section can have.
var Datasets = registry.New[Dataset]("data")

// Columns are the types that an entry of a data section's `columns` can have.
var Columns = registry.New[Column]("column")

// Register adds a type of data set with its default options. It panics if the name is taken.
func Register(name string, d Dataset) { Datasets.Register(name, d) }

func init() {
	Columns.Register("categorical", CategoricalColumn{})
	Columns.Register("numeric", NumericColumn{})
	Columns.Register("multi", MultiColumn{Separator: "|", MaxLen: 16, Pooling: PoolMean})
	Columns.Register("sequence", SequenceColumn{Separator: "|", MaxLen: 50, Keep: KeepLast, Pooling: PoolMean})
	Columns.Register("vector", VectorColumn{Separator: "|", Project: true})
	Columns.Register("ignore", IgnoreColumn{})
}
