package figures

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cki/report"
	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/cmd/internal/figure"
	"github.com/splice-ml/splice/cmd/internal/origin"
	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/data/sealed"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train/run"
)

// drawing is a figure that is still to be made.
type drawing interface {
	name() string
	// cells says what it is from, by calling ask for each config with its overrides; the same in the same order each time.
	cells(m *maker, ask asker) error
	// draw puts the values of those cells together. They are by config and seed.
	draw(m *maker, got [][]*cell) (*figure.Figure, error)
}

// asker takes a config with overrides of its own. merge says whether it is one of cmd/cki, or a training.
type asker func(merge bool, config string, set ...string) error

// cell is a run of one seed: a training, or a merge with its comparison. Its name is the digest of its config and of the contents of the
// files that it reads.
type cell struct {
	merge  bool
	id     string
	seed   int
	config string
	e      *configs.Experiment
	making string // of a merge: what decides its parents
	stored *stored
	dir    string
}

// stored is what is kept of a cell, in a file of its name beside the run.
type stored struct {
	Format int           `json:"format"`
	Metric string        `json:"metric"` // that selection went by
	Rows   compare.Rows  `json:"rows"`   // of a merge; else one
	Passed string        `json:"passed,omitempty"`
	Made   origin.Origin `json:"made"`
}

// storedFormat is the version of the files of cells.
const storedFormat = 1

// maker makes cells and figures.
type maker struct {
	file    *file
	asked   asked
	command *app.Command
	standIn bool
	sums    origin.Checksums
	known   map[string]*cell
	cells   []*cell
	of      map[string][][]*cell // by figure, config and seed
	done    int
	job     func(x *cell) job.Job // a test puts another one in its place
}

// maker finds the data.
func (f *file) maker(a asked, c *app.Command, _ []drawing) (*maker, error) {
	m := &maker{file: f, asked: a, command: c, sums: origin.Checksums{}, known: map[string]*cell{}, of: map[string][][]*cell{}}
	for _, need := range f.Data.Needs {
		if !there(m.locate(need)) {
			m.standIn = true
		}
	}
	if m.standIn && len(f.Data.StandIn) == 0 {
		return nil, fmt.Errorf("figures: the files of %s are not there: %s; see docs/data.md", f.Data.Name, strings.Join(f.Data.Needs, ", "))
	}
	m.job = func(x *cell) job.Job {
		log := slog.New(slog.DiscardHandler)
		if c.Progress() != nil {
			log = slog.New(slog.NewTextHandler(c.Progress(), &slog.HandlerOptions{Level: slog.LevelWarn}))
		}
		return job.Job{Experiment: x.e, Dir: x.dir, Log: log}
	}
	return m, nil
}

func (m *maker) size() string {
	if m.asked.full {
		return "full"
	}
	return "quick"
}

func (m *maker) sizes() size {
	if m.asked.full {
		return m.file.Full
	}
	return m.file.Quick
}

// plan reads all configs, so that a mistake in the last one shows before anything is made.
func (m *maker) plan(list []drawing) error {
	var errs []error
	for _, d := range list {
		var got [][]*cell
		err := d.cells(m, func(merge bool, config string, set ...string) error {
			var seeds []*cell
			for seed := 1; seed <= m.sizes().Seeds; seed++ {
				x, err := m.cell(merge, config, set, seed)
				if err != nil {
					return err
				}
				seeds = append(seeds, x)
			}
			got = append(got, seeds)
			return nil
		})
		if err != nil {
			errs = append(errs, fmt.Errorf("figures: %s: %w", d.name(), err))
		}
		m.of[d.name()] = got
	}
	return errors.Join(errs...)
}

// cell returns the cell of a config, one for equal ones.
func (m *maker) cell(merge bool, config string, own []string, seed int) (*cell, error) {
	set := slices.Clone(m.file.Data.Quick)
	switch {
	case m.standIn:
		set = slices.Clone(m.file.Data.StandIn)
	case m.asked.full:
		set = nil
	}
	set = slices.Concat(set, m.sizes().Set, own, m.asked.set, []string{fmt.Sprintf("seed=%d", seed)})
	read := configs.Load
	if merge {
		read = configs.LoadMerge
	}
	e, err := read(config, set)
	if err == nil && e.Model == nil {
		err = fmt.Errorf("%s: has no model and data", config)
	}
	if err != nil {
		return nil, err
	}
	x := &cell{merge: merge, seed: seed, config: config, e: e}
	digest, err := e.Digest()
	if err != nil {
		return nil, err
	}
	inputs, err := e.Inputs()
	if err != nil {
		return nil, err
	}
	var sums strings.Builder
	var moved []string
	for _, in := range inputs {
		at := m.locate(in.Path)
		sum, err := m.sums.Of(at)
		if err != nil {
			return nil, err
		}
		sums.WriteString(sum + " ")
		if at != in.Path {
			moved = append(moved, in.Key+"="+strconv.Quote(at))
		}
	}
	if merge {
		if x.making, err = job.Making(e); err != nil {
			return nil, err
		}
		x.making += origin.Short(sums.String())
	}
	x.id = digest + "-" + origin.Short(sums.String())[:8]
	if same := m.known[x.id]; same != nil {
		return same, nil
	}
	if len(moved) > 0 {
		if x.e, err = read(config, append(set, moved...)); err != nil {
			return nil, err
		}
	}
	x.dir = filepath.Join(m.file.Runs, x.id)
	m.known[x.id] = x
	m.cells = append(m.cells, x)
	return x, nil
}

const datasetsDir = "datasets/"

// locate returns where a file that a config names is: in the directory that the command names, or where the config says.
func (m *maker) locate(path string) string {
	if rest, ok := strings.CutPrefix(filepath.ToSlash(path), datasetsDir); ok && m.asked.data != "" {
		if at := filepath.Join(m.asked.data, filepath.FromSlash(rest)); there(at) {
			return at
		}
	}
	return path
}

func there(pattern string) bool {
	if _, err := os.Stat(pattern); err == nil {
		return true
	}
	list, err := filepath.Glob(pattern)
	return err == nil && len(list) > 0
}

// make makes a cell, or reads what an earlier command made of it.
func (m *maker) make(ctx context.Context, x *cell) error {
	if x.stored != nil {
		return nil
	}
	path := x.dir + ".json"
	s := &stored{}
	err := sealed.Read(path, bound.JSON, s)
	switch {
	case err == nil && s.Format == storedFormat && x.there():
		x.stored = s
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, sealed.ErrChanged) && !errors.Is(err, sealed.ErrNoChecksum):
		return fmt.Errorf("%w; remove it to make the run again", err)
	}
	s = &stored{Format: storedFormat}
	j := m.job(x)
	if x.merge {
		err = m.merge(ctx, x, &j, s)
	} else {
		err = train(ctx, &j, s)
	}
	if err != nil {
		return err
	}
	threads := x.e.Threads
	if threads == 0 {
		threads = kernel.Threads()
	}
	s.Made = origin.Here(threads, 1)
	x.stored = s
	return sealed.Write(path, s)
}

// there reports whether the run is there, which figures read tensors from.
func (x *cell) there() bool {
	_, err := os.Stat(filepath.Join(x.dir, run.ModelFile))
	return err == nil
}

func (m *maker) merge(ctx context.Context, x *cell, j *job.Job, s *stored) error {
	for _, other := range m.cells {
		if other != x && other.making == x.making && other.stored != nil {
			if took, err := j.AdoptParents(other.dir); took || err != nil {
				if err != nil {
					return err
				}
				break
			}
		}
	}
	r, err := j.Merge(ctx, false)
	if err != nil {
		return err
	}
	s.Metric, s.Rows, s.Passed = r.Table.Metric, r.Table.Rows, string(r.Table.Passed)
	return nil
}

func train(ctx context.Context, j *job.Job, s *stored) error {
	r, err := j.Train(ctx, job.TrainOptions{Resume: true})
	if err != nil {
		return err
	}
	s.Metric = r.Monitor
	s.Rows = compare.Rows{{Valid: report.Metrics(r.Valid), Test: report.Metrics(r.Test), Seconds: r.Train.Seconds, Steps: r.Steps}}
	return nil
}

// figure makes the cells of a figure and draws it.
func (m *maker) figure(ctx context.Context, d drawing) (*figure.Figure, error) {
	var made []origin.Origin
	var ids []string
	for _, seeds := range m.of[d.name()] {
		for _, x := range seeds {
			fresh := x.stored == nil
			if err := m.make(ctx, x); err != nil {
				return nil, fmt.Errorf("%s, seed %d: %w", x.config, x.seed, err)
			}
			if fresh {
				m.done++
				if out := m.command.Progress(); out != nil {
					fmt.Fprintf(out, "%d/%d %s: %s, seed %d\n", m.done, len(m.cells), d.name(), strings.TrimSuffix(filepath.Base(x.config), filepath.Ext(x.config)), x.seed)
				}
			}
			if !slices.Contains(made, x.stored.Made) {
				made = append(made, x.stored.Made)
			}
			if !slices.Contains(ids, x.id) {
				ids = append(ids, x.id)
			}
		}
	}
	f, err := d.draw(m, m.of[d.name()])
	if err != nil {
		return nil, err
	}
	f.Name, f.Size, f.StandIn, f.Data, f.Made, f.Cells = d.name(), m.size(), m.standIn, m.file.Data.Name, made, ids
	if y, err := m.of[d.name()][0][0].e.YAML(); err == nil {
		f.Settings = string(y)
	}
	if n := m.sizes().Seeds; n > 1 && f.Panels[0].Heat == nil {
		f.About = append(f.About, fmt.Sprintf("%d seeds; bands and bars are 95 %% intervals of the mean by Student's t.", n))
	}
	return f, nil
}

// values returns a metric of a row on the test rows by seed, or on the validation rows if there are no others.
func values(seeds []*cell, row compare.RowName, name string) ([]float64, error) {
	var out []float64
	for _, x := range seeds {
		r := &x.stored.Rows[0]
		if row != "" {
			if r = x.stored.Rows.Get(row); r == nil {
				return nil, fmt.Errorf("%s has no row %s", x.dir, row)
			}
		}
		from := r.Test
		if len(from) == 0 {
			from = r.Valid
		}
		v, ok := from[name]
		if !ok {
			return nil, fmt.Errorf("%s has no %s", x.dir, name)
		}
		out = append(out, v)
	}
	return out, nil
}

// readReport reads the report of a merge.
func (x *cell) readReport() (*report.Report, error) {
	r := &report.Report{}
	return r, readJSON(filepath.Join(x.dir, run.ReportFile), r)
}
