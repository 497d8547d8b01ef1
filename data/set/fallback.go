package set

import (
	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
)

// What Criteo does if no file of its path exists.
const (
	fallbackNone      = "none"
	fallbackSynthetic = "synthetic"
)

// checkFallback returns what is wrong with the option fallback.
func checkFallback(fallback string) error {
	if fallback == "" {
		return nil
	}
	return registry.OneOf("fallback", fallback, fallbackNone, fallbackSynthetic)
}

// checkTextSplit returns what is wrong with a split of rows that have no time.
func checkTextSplit(s data.Split) error {
	if s.By == data.SplitTime {
		return registry.Field("split.by", "texts have no time column; want random or order")
	}
	return nil
}
