package data

import (
	"context"
	"path/filepath"
)

// What Criteo does if no file of its path exists.
const (
	fallbackNone      = "none"
	fallbackSynthetic = "synthetic"
)

// synthPath is where generated rows of Criteo's layout are kept.
var synthPath = filepath.Join("datasets", "criteo_synth.tsv")

// synthSeed is the seed of the generated rows.
const synthSeed = 1

// fallback replaces a path without files by generated rows, if the options say so.
func (d *Criteo) fallback(ctx context.Context, o OpenOptions) error {
	if d.Fallback != fallbackSynthetic {
		return nil
	}
	for _, p := range d.Path {
		if m, err := filepath.Glob(p); err != nil || len(m) > 0 {
			return nil // a bad pattern is reported where the files are opened
		}
	}
	if o.Log != nil {
		o.Log.Warn("data: no such files: using SYNTHETIC rows of the same layout", "path", d.Path, "file", synthPath)
	}
	info, err := SynthFile(ctx, synthPath, SynthOptions{Seed: synthSeed, Log: o.Log})
	if err != nil {
		return err
	}
	if o.Log != nil {
		o.Log.Info("data: " + info.String())
	}
	d.Path = []string{synthPath}
	return nil
}

// synthetic marks rows that were generated, and says what can be reached on the test part if it is what the file's
// description speaks of: the last rows.
func (d *Criteo) synthetic(s *Splits) error {
	if len(d.Path) != 1 {
		return nil
	}
	info, err := ReadSynthInfo(d.Path[0])
	if err != nil || info == nil {
		return err
	}
	s.Synthetic = &Reachable{}
	if d.Split.By == byOrder && s.Test != nil && len(d.TestPath) == 0 && s.Test.Rows() == info.TestRows {
		s.Synthetic.AUC, s.Synthetic.LogLoss = info.AUC, info.LogLoss
	}
	return nil
}
