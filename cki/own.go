package cki

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/ckpt"
)

// own adds the rows that the base's own checkpoints make: the greedy soup of its epochs, and its moving average.
func (s *story) own(ctx context.Context) error {
	if s.base.Dir == "" {
		return nil
	}
	epochs, err := s.epochs(s.base)
	if err != nil {
		return err
	}
	if len(epochs) > 1 {
		m, err := method("soup", "")
		if err != nil {
			return err
		}
		note := fmt.Sprintf("control: greedy soup of the base's %d epochs", len(epochs))
		if err := s.merged(ctx, "soup of own epochs", note, epochs, all, m); err != nil {
			return err
		}
	}
	path := filepath.Join(s.base.Dir, "ema.safetensors")
	if !exists(path) {
		return nil
	}
	begin := time.Now()
	p, err := s.load(path)
	if err != nil {
		return err
	}
	return s.row(ctx, "moving average", "control: EMA of the base's steps", p, begin, 0)
}

func (s *story) load(path string) (*nn.Params, error) {
	p, err := s.NewParams(0)
	if err != nil {
		return nil, err
	}
	return p, train.LoadParams(path, p)
}

// epochs returns the checkpoints that a member's run kept, the last one first.
func (s *story) epochs(m *Member) ([]*Member, error) {
	files, err := filepath.Glob(filepath.Join(m.Dir, "epochs", "model-*.safetensors"))
	if err != nil {
		return nil, err
	}
	number := func(path string) int {
		n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), "model-"), ".safetensors"))
		if err != nil {
			return 0
		}
		return n
	}
	slices.SortFunc(files, func(a, b string) int { return number(b) - number(a) })
	var out []*Member
	for _, f := range files {
		p, err := s.load(f)
		if err != nil {
			return nil, err
		}
		out = append(out, &Member{Name: m.Name + " epoch " + strconv.Itoa(number(f)), Params: p, Data: m.Data, Counts: m.Counts, Seed: m.Seed})
	}
	return out, nil
}

// SaveRun writes parameters and counts as a run's model.
func SaveRun(dir string, p *nn.Params, c Counts, meta map[string]string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("cki: %w", err)
	}
	snap := train.Snapshot(p)
	snap.Meta = meta
	if err := ckpt.Save(filepath.Join(dir, train.ModelFile), snap); err != nil {
		return err
	}
	if c == nil {
		return nil
	}
	return train.SaveCounts(dir, c)
}
