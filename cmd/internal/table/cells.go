package table

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cki/report"
	"github.com/splice-ml/splice/cmd/internal/origin"
	"github.com/splice-ml/splice/cmd/internal/progress"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/data/crash"
	"github.com/splice-ml/splice/data/sealed"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train/run"
)

// storedFormat is the version of the files of cells. Cells of another version are made again, from the runs that are there.
const storedFormat = 1

// stored is what is kept of a cell, in a file of its name beside the run.
type stored struct {
	Format       int             `json:"format"`
	Kind         string          `json:"kind"`
	Seed         int             `json:"seed"`
	Settings     string          `json:"settings"`                // the resolved config, as YAML
	Inputs       string          `json:"inputs"`                  // checksums of the files that it reads, or names of other cells
	Making       string          `json:"making,omitempty"`        // of a merge: what decides its parents
	Metric       string          `json:"metric"`                  // that selection went by
	Protocol     string          `json:"protocol,omitempty"`      // what the metrics rank
	Synthetic    bool            `json:"synthetic,omitempty"`     // the rows are generated
	Passed       compare.RowName `json:"passed,omitempty"`        // the row whose model a merge passed on
	Parents      int             `json:"parents,omitempty"`       // of a merge
	TrunkSeconds float64         `json:"trunk_seconds,omitempty"` // of training what the parents branch from
	Rows         compare.Rows    `json:"rows"`                    // of a merge; else one
	Made         origin.Origin   `json:"made"`

	Statistics *job.Statistics `json:"statistics,omitempty"` // of the data; with the costs alone
	Single     *job.Cost       `json:"single,omitempty"`     // of the run's model; only for the first seed
	Together   *job.Cost       `json:"together,omitempty"`   // of a merge's parents as an ensemble; only for the first seed
}

// path returns the file of a cell.
func (x *cell) path(dir string) string { return filepath.Join(dir, x.id+".json") }

// read reads what is kept of a cell, if there is something. A file that is damaged is not read: the cell is made again.
func (x *cell) read(dir string) error {
	s := &stored{}
	switch err := sealed.Read(x.path(dir), bound.JSON, s); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil && !errors.Is(err, sealed.ErrChanged) && !errors.Is(err, sealed.ErrNoChecksum):
		return fmt.Errorf("table: %w; remove it to make the cell again", err)
	case err == nil && s.Format == storedFormat:
		x.stored = s
	}
	return nil
}

func (x *cell) write(dir string) error {
	if err := sealed.Write(x.path(dir), x.stored); err != nil {
		return fmt.Errorf("table: %w", err)
	}
	return nil
}

// maker makes cells. A test puts others in their place.
type cellMaker interface {
	make(ctx context.Context, x *cell, from []string) error // from are runs that may have the same parents
	measure(ctx context.Context, x *cell) error
}

// makeAll makes the cells that are missing, several at once, then measures costs, one after the other. each is called after each cell.
func (p *plan) makeAll(ctx context.Context, m cellMaker, jobs int, show *progress.Bar) error {
	if err := os.MkdirAll(p.grid.Runs, 0o777); err != nil {
		return run.BadInput(fmt.Errorf("table: %w", err))
	}
	var missing, costed []*cell
	for _, x := range p.cells {
		if err := x.read(p.grid.Runs); err != nil {
			return run.BadInput(err)
		}
		if x.stored == nil {
			missing = append(missing, x)
		}
	}
	if p.grid.Costs {
		costed = p.costed()
	}
	left := slices.DeleteFunc(slices.Clone(costed), func(x *cell) bool { return x.stored != nil && x.stored.Single != nil })
	show.Start(len(p.cells)+len(costed), len(p.cells)-len(missing)+len(costed)-len(left))
	defer show.End()
	if err := p.makeMissing(ctx, m, missing, jobs, show); err != nil {
		return p.after(err, show)
	}
	for _, x := range left {
		if err := ctx.Err(); err != nil {
			return p.after(err, show)
		}
		show.Begin(x.label() + ", costs")
		if err := m.measure(ctx, x); err != nil {
			return p.after(fmt.Errorf("%s: %w", x.label(), err), show)
		}
		if err := x.write(p.grid.Runs); err != nil {
			return err
		}
		show.Done(x.label() + ", costs")
	}
	return nil
}

func (p *plan) after(err error, show *progress.Bar) error {
	count, total := show.Counts()
	return fmt.Errorf("table: after %d of %d cells; what is done is kept, and the same command goes on: %w", count, total, err)
}

// costed returns those cells whose costs are measured: in each column, of the first seed, the first merge and every other one.
func (p *plan) costed() (out []*cell) {
	for _, c := range p.columns {
		merges := map[int]bool{}
		for i := range p.rows {
			if len(c.cells[i]) == 0 || c.cells[i][0] == nil {
				continue
			}
			x := c.cells[i][0]
			if x.kind == kindMerge {
				if merges[0] {
					continue
				}
				merges[0] = true
			}
			if !slices.Contains(out, x) {
				out = append(out, x)
			}
		}
	}
	return out
}

// makeMissing makes cells on several goroutines. Those that need one another, or have equal parents, are made one after the other.
func (p *plan) makeMissing(ctx context.Context, m cellMaker, missing []*cell, jobs int, show *progress.Bar) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	known := &parents{at: map[string][]string{}}
	known.find(p.grid.Runs)
	queue := make(chan []*cell)
	var errs []error
	var mu sync.Mutex
	var workers sync.WaitGroup
	fail := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		errs = append(errs, err)
		stop()
	}
	for range max(1, jobs) {
		workers.Go(func() {
			for list := range queue {
				for _, x := range list {
					if ctx.Err() != nil {
						break
					}
					show.Begin(x.label())
					err := crash.Guard(func() error { return m.make(ctx, x, known.of(x.making)) })
					if err == nil {
						err = x.write(p.grid.Runs)
					}
					if err != nil {
						fail(fmt.Errorf("%s: %w", x.label(), err))
						break
					}
					known.add(x.making, x.dir)
					show.Done(x.label())
				}
			}
		})
	}
feed:
	for _, list := range groups(missing) {
		select {
		case queue <- list:
		case <-ctx.Done():
			break feed
		}
	}
	close(queue)
	workers.Wait()
	if len(errs) > 0 {
		return errs[0]
	}
	return ctx.Err()
}

// label returns what messages call a cell.
func (x *cell) label() string {
	name := strings.TrimSuffix(filepath.Base(x.config), filepath.Ext(x.config))
	if x.kind == kindEnsemble {
		name = "ensemble"
	}
	if x.e != nil {
		m, _ := models.Registry.NameOf(x.e.Model)
		d, _ := data.Datasets.NameOf(x.e.Data)
		name += " (" + m + " on " + d + ")"
	}
	return fmt.Sprintf("%s, seed %d", name, x.seed)
}

// groups cuts cells into lists that do not depend on one another: cells with equal parents are in one list, and so are cells that need
// others with these.
func groups(cells []*cell) [][]*cell {
	of := map[*cell]int{}
	making := map[string]int{}
	next := 0
	join := func(a, b int) {
		if a == b {
			return
		}
		for x, g := range of {
			if g == b {
				of[x] = a
			}
		}
		for k, g := range making {
			if g == b {
				making[k] = a
			}
		}
	}
	for _, x := range cells {
		of[x] = next
		next++
		if g, ok := making[x.making]; ok && x.making != "" {
			join(g, of[x])
		}
		making[x.making] = of[x]
		for _, other := range x.members {
			if g, ok := of[other]; ok {
				join(g, of[x])
			}
		}
	}
	at := map[int]int{}
	var out [][]*cell
	for _, x := range cells {
		i, ok := at[of[x]]
		if !ok {
			i = len(out)
			at[of[x]] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], x)
	}
	return out
}

// parents knows the runs whose parents can be taken over, by what decides them.
type parents struct {
	mu sync.Mutex
	at map[string][]string
}

// find reads the cells that are kept in a directory, of any table.
func (p *parents) find(dir string) {
	files, _ := filepath.Glob(filepath.Join(dir, "*.json"))
	for _, f := range files {
		s := &stored{}
		if sealed.Read(f, bound.JSON, s) == nil {
			p.add(s.Making, strings.TrimSuffix(f, ".json"))
		}
	}
}

func (p *parents) add(making, dir string) {
	if making == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at[making] = append(p.at[making], dir)
}

func (p *parents) of(making string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.at[making])
}

// runner makes cells by running what their configs ask for.
type runner struct {
	job  func(x *cell) job.Job
	jobs int
}

// make makes a cell, or reads what an earlier command made of it.
func (r *runner) make(ctx context.Context, x *cell, from []string) error {
	x.stored = nil
	s := &stored{Format: storedFormat, Kind: x.kind, Seed: x.seed, Inputs: x.inputs, Making: x.making}
	threads := 0
	if x.e != nil {
		var err error
		if x.e, err = x.fresh(); err != nil { // a job changes its experiment: no other cell may have it
			return run.BadInput(err)
		}
		y, err := x.e.YAML()
		if err != nil {
			return err
		}
		s.Settings, threads = string(y), x.e.Threads
	}
	var err error
	switch x.kind {
	case kindMerge:
		err = r.merge(ctx, x, s, from)
	case kindTrain:
		err = r.train(ctx, x, s)
	default:
		err = r.ensemble(ctx, x, s)
	}
	if err != nil {
		return err
	}
	if threads == 0 {
		threads = kernel.Threads()
	}
	s.Made = origin.Here(threads, r.jobs)
	x.stored = s
	return nil
}

func (r *runner) merge(ctx context.Context, x *cell, s *stored, from []string) error {
	j := r.job(x)
	for _, dir := range from {
		if took, err := j.AdoptParents(dir); took || err != nil {
			if err != nil {
				return err
			}
			break
		}
	}
	m, err := j.Merge(ctx, false)
	if err != nil {
		return err
	}
	t := m.Table
	s.Metric, s.Protocol, s.Synthetic, s.Passed, s.TrunkSeconds = t.Metric, t.Protocol, t.Synthetic, t.Passed, t.TrunkSeconds
	s.Rows = append(slices.Clone(t.Rows), passed(t))
	for s.Parents < len(t.Rows) && t.Rows[s.Parents].Name != compare.RowBestParent { // the parents' rows come first
		s.Parents++
	}
	return nil
}

func (r *runner) train(ctx context.Context, x *cell, s *stored) error {
	j := r.job(x)
	res, err := j.Train(ctx, job.TrainOptions{Resume: true})
	if err != nil {
		return err
	}
	s.Metric, s.Protocol, s.Synthetic = res.Monitor, res.Protocol, res.Synthetic
	s.Rows = compare.Rows{{Valid: report.Metrics(res.Valid), Test: report.Metrics(res.Test), Seconds: res.Train.Seconds, Steps: res.Steps}}
	return nil
}

func (r *runner) ensemble(ctx context.Context, x *cell, s *stored) error {
	var dirs []string
	var row compare.Row
	for _, m := range x.members {
		dirs = append(dirs, m.dir)
		row.Seconds += m.stored.Rows[0].Seconds
	}
	first := x.members[0].stored
	s.Metric, s.Protocol, s.Synthetic = first.Metric, first.Protocol, first.Synthetic
	t, err := job.OpenEnsemble(dirs, threadsOf(x), "", nil)
	if err != nil {
		return err
	}
	err = t.Evaluate(ctx, "", "", func(scores job.Scores) error {
		if scores.Model != "" {
			return nil
		}
		if scores.Part == "test" {
			row.Test = report.Metrics(maps.Clone(scores.Metrics))
		} else {
			row.Valid = report.Metrics(maps.Clone(scores.Metrics))
		}
		return nil
	})
	s.Rows = compare.Rows{row}
	return err
}

// threadsOf returns the override of the threads that a cell's members have.
func threadsOf(x *cell) []string {
	return []string{fmt.Sprintf("threads=%d", x.members[0].e.Threads)}
}

// measure measures what a cell's model costs, and the ensemble of a merge's parents.
func (r *runner) measure(ctx context.Context, x *cell) error {
	dirs := []string{x.dir}
	if x.kind == kindEnsemble {
		dirs = nil
		for _, m := range x.members {
			dirs = append(dirs, m.dir)
		}
	}
	var err error
	if x.stored.Single, x.stored.Statistics, err = job.Measure(ctx, dirs, nil); err != nil || x.kind != kindMerge {
		return err
	}
	list, err := filepath.Glob(filepath.Join(x.dir, run.ParentsDir, "parent-*"))
	if err != nil || len(list) < 2 {
		return err
	}
	slices.Sort(list)
	x.stored.Together, _, err = job.Measure(ctx, list, nil)
	return err
}
