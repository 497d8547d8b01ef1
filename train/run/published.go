package run

import (
	"path/filepath"

	"github.com/splice-ml/splice/data/bound"
)

// Published returns the names of the files of a run that others need to use it: those that it is opened from, its result, what it was merged of,
// and its model card. The config, which makes a directory a run, comes last.
func Published(dir string) (names []string) {
	for _, e := range entries {
		switch e.Name {
		case ConfigFile:
			continue
		case FeatureFile, ModelFile, CountsFile, ResultFile, MergeFile:
		case CardFile:
			if !IsCard(filepath.Join(dir, CardFile)) {
				continue
			}
		default:
			if e.Kind != OfText {
				continue
			}
		}
		if bound.Exists(filepath.Join(dir, e.Name)) {
			names = append(names, e.Name)
		}
	}
	return append(names, ConfigFile)
}
