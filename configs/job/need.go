package job

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/memory"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train/run"
	"github.com/splice-ml/splice/train/task"
)

// The parts of what a job needs.
const (
	programPart   = "program"
	tablesPart    = "tables"
	weightsPart   = "weights"
	graphsPart    = "activations"
	optimizerPart = "optimizer"
	averagesPart  = "averages"
	gradientsPart = "accumulated gradients"
	countsPart    = "counts"
	batchesPart   = "batches"
	parentsPart   = "parents"
	workersPart   = "workers"
)

const (
	programBytes = 30e6 // code, runtime and what reads files
	prefetched   = 5    // batches of a part that are made ahead, and the one in use
)

// uses says what a job does with a model.
type uses struct {
	trains bool
	loaded int  // further models whose weights are held at the same time: parents, teachers
	serves bool // tables are held as the config's serve section says
	rounds int  // workers that are held at the same time, each with what it trains
}

// bill adds up what the job needs for rows of a schema.
func (j *Job) bill(sc *data.Schema, u uses) (memory.Bill, error) {
	var b memory.Bill
	b.Add(programPart, programBytes)
	o, size := j.Experiment.Train, j.Experiment.Train.Program()
	shapes := nn.NewShapes()
	ranking, ranks := j.Task.(task.Ranking)
	whole := ranks && ranking.WholeCatalogue()
	eval, err := models.Measure(j.Model, shapes, sc, models.CompileOptions{Batch: size, WholeCatalogue: whole, Blocks: true})
	if err != nil {
		return nil, err
	}
	values := 0.0
	for _, p := range shapes.All() {
		part := weightsPart
		if p.Kind == nn.Table {
			part = tablesPart
		}
		size := p.Bytes()
		if u.serves {
			size = j.Experiment.Serve.Bytes(p, eval)
		}
		b.Add(part, size)
		values += size
	}
	b.Add(graphsPart, eval.Graphs)
	b.Add(batchesPart, prefetched*sc.BatchBytes(size))
	b.Add(parentsPart, float64(u.loaded)*(values+eval.Graphs))
	if !u.trains {
		return b, nil
	}
	c := models.CompileOptions{Batch: size, Train: true, Lean: true, Loss: j.Task.Loss, WholeCatalogue: whole}
	if frozen, err := nn.Match(o.Freeze); err == nil && len(o.Freeze) > 0 {
		c.Freeze = frozen
	}
	t, err := models.Measure(j.Model, shapes, sc, c)
	if err != nil {
		return nil, err
	}
	b.Add(graphsPart, t.Graphs)
	b.Add(batchesPart, prefetched*sc.BatchBytes(size))
	trained, tables := 0.0, 0.0
	for _, p := range t.Trained {
		trained += p.Bytes()
	}
	for _, use := range t.Tables {
		tables += use.Param.Bytes()
		b.Add(countsPart, 2*8*float64(use.Param.Shape[0]))
	}
	b.Add(optimizerPart, float64(o.Optimizer.New().States())*trained)
	if u.rounds > 0 {
		counts := 0.0 // occurrences, steps that touched the row, shares and factors of L2
		for _, use := range t.Tables {
			counts += (2*8 + 3*4) * float64(use.Param.Shape[0])
		}
		b.Add(workersPart, float64(u.rounds)*(values+float64(o.Optimizer.New().States())*trained+counts)+t.Graphs+eval.Graphs)
	}
	if o.EMA > 0 {
		b.Add(averagesPart, trained)
	}
	if o.SWAStart > 0 {
		b.Add(averagesPart, trained)
	}
	if o.GradientAccumulation > 1 {
		b.Add(gradientsPart, trained-tables)
	}
	if o.Shards > 1 { // the nodes of a tree that are held at once, and the sum of several processes
		b.Add(gradientsPart, float64(bits.Len(uint(o.Shards))+1)*(trained-tables))
	}
	return b, nil
}

// afford logs what the job needs for rows of a schema. If that is more memory than there is, it returns an error that says what to
// lower.
func (j *Job) afford(sc *data.Schema, u uses) error {
	limit, err := memory.Available()
	if err != nil {
		return run.BadInput(err)
	}
	b, err := j.bill(sc, u)
	if err != nil {
		return run.BadInput(j.sized(sc, u, err))
	}
	if b.Total() > limit.Bytes {
		e := &memory.Error{Need: b.Total(), Limit: limit, Lower: j.greatest(sc, u, false)}
		return run.BadInput(fmt.Errorf("the job %w; its greatest parts: %s", e, b.Greatest(3)))
	}
	j.Log.Info("needs about "+memory.Format(b.Total()), "of", memory.Format(limit.Bytes), "parts", b.Greatest(3))
	return nil
}

// sized adds to an error of a model what to lower, if the model has too many tensors.
func (j *Job) sized(sc *data.Schema, u uses, err error) error {
	if errors.Is(err, nn.ErrTensors) {
		return fmt.Errorf("%w: lower %s", err, j.greatest(sc, u, true))
	}
	return err
}

// greatest returns the option without which the job would need the least, with its value. If the model has too many tensors, it is the
// first without which it has not.
func (j *Job) greatest(sc *data.Schema, u uses, tensors bool) string {
	best, least := "model or train.batch_size", -1.0
	done := false
	try := func(what string, other Job, sc *data.Schema) bool {
		if done {
			return true
		}
		b, err := other.bill(sc, u)
		if err != nil {
			return false
		}
		done = tensors
		if need := b.Total(); least < 0 || need < least {
			best, least = what, need
		}
		return true
	}
	lower := func(e func(*Job) any, set func(*Job, any), section string) {
		for _, k := range sizesOf(e(j), section) {
			for _, to := range k.smaller() {
				other, ex := *j, *j.Experiment
				other.Experiment = &ex
				set(&other, k.lowered(e(j), to))
				if try(k.path+", "+k.value, other, sc) {
					break
				}
			}
		}
	}
	lower(func(j *Job) any { return j.Model }, func(j *Job, v any) { j.Model = v.(models.Model) }, "model")
	lower(func(j *Job) any {
		return struct {
			BatchSize int `yaml:"batch_size"`
		}{j.Experiment.Train.BatchSize}
	}, func(j *Job, v any) {
		j.Experiment.Train.BatchSize = v.(struct {
			BatchSize int `yaml:"batch_size"`
		}).BatchSize
	}, "train")
	smaller := *sc
	smaller.Features = append([]data.Feature(nil), sc.Features...)
	rows, long := 0, 0
	for i := range smaller.Features {
		f := &smaller.Features[i]
		rows, long = max(rows, f.Vocab), max(long, f.MaxLen)
		f.Vocab = min(f.Vocab, 2)
	}
	if rows > 2 {
		try(j.vocabularyKey(rows), *j, &smaller)
	}
	if long > 1 {
		shorter := *sc
		shorter.Features = append([]data.Feature(nil), sc.Features...)
		for i := range shorter.Features {
			shorter.Features[i].MaxLen = min(shorter.Features[i].MaxLen, 1)
		}
		try(fmt.Sprintf("max_len of a column, %d", long), *j, &shorter)
	}
	if sc.Text != nil {
		shorter, text := *sc, *sc.Text
		text.Lengths = []int{min(8, text.MaxLen())}
		shorter.Text = &text
		try(fmt.Sprintf("data.max_length, %d", sc.Text.MaxLen()), *j, &shorter)
		few := *sc.Text
		few.Vocab = min(few.Vocab, 100)
		fewer := *sc
		fewer.Text = &few
		try(fmt.Sprintf("the words of the vocabulary, data.vocab_size, %d", sc.Text.Vocab), *j, &fewer)
	}
	return best
}

// vocabularyKey names what decides the rows of the largest table.
func (j *Job) vocabularyKey(rows int) string {
	for _, k := range sizesOf(j.Data, "data") {
		if k.n > rows/2 && k.n <= rows {
			return k.path + ", " + k.value
		}
	}
	return fmt.Sprintf("the rows of the largest table, %d, by hash, max_size or a greater min_count of its column", rows)
}
