package runs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/data/evict"
	"github.com/splice-ml/splice/data/memory"
	"github.com/splice-ml/splice/train/run"
)

// largest is how many runs disk names.
const largest = 10

// disk prints what runs and caches take, and removes old caches if that is asked for.
func (o *options) disk(_ context.Context, c *app.Command, args []string) error {
	if len(args) > 0 {
		return run.BadInput(errors.New("runs: disk takes no arguments; say where runs are with --dir"))
	}
	limit := evict.Limit{Age: math.MaxInt64}
	if o.evict != "" {
		var err error
		if limit.Bytes, err = memory.Parse(o.evict); err != nil {
			return run.BadInput(fmt.Errorf("runs: --evict: %w", err))
		}
	}
	dirs, err := find(o.dir, true)
	if err != nil {
		return err
	}
	runs := read(o.dir, dirs)
	slices.SortStableFunc(runs, func(a, b *found) int { return cmp.Compare(b.size, a.size) })
	sum := int64(0)
	for _, r := range runs {
		sum += r.size
	}
	t := &sheet{head: []string{"what", "size", "used"}}
	t.rows = append(t.rows, []string{fmt.Sprintf("%d runs in %s", len(runs), o.dir), memory.Format(float64(sum)), ""})
	for _, r := range runs[:min(len(runs), largest)] {
		t.rows = append(t.rows, []string{r.name, memory.Format(float64(r.size)), r.date.Local().Format(time.DateTime)})
	}
	var removed []*evict.Entry
	if o.evict != "" {
		if removed, err = evict.To(o.cache, limit, nil); err != nil {
			return err
		}
	}
	entries, err := evict.List(o.cache)
	if err != nil {
		return err
	}
	used, bytes := 0, int64(0)
	for _, e := range entries {
		bytes += e.Bytes
		if e.InUse() {
			used++
		}
	}
	t.rows = append(t.rows, []string{fmt.Sprintf("%d caches in %s, %d of them in use or just used", len(entries), o.cache, used), memory.Format(float64(bytes)), ""})
	slices.SortStableFunc(entries, func(a, b *evict.Entry) int { return cmp.Compare(b.Bytes, a.Bytes) })
	for _, e := range entries[:min(len(entries), largest)] {
		t.rows = append(t.rows, []string{e.Key, memory.Format(float64(e.Bytes)), e.Used.Local().Format(time.DateTime)})
	}
	if err := t.print(c.Out); err != nil || o.evict == "" {
		return err
	}
	bytes = 0
	for _, e := range removed {
		bytes += e.Bytes
	}
	_, err = fmt.Fprintf(c.Out, "\nremoved %d caches, %s\n", len(removed), memory.Format(float64(bytes)))
	return err
}
