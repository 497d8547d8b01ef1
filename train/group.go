package train

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"unsafe"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/dist"
	"github.com/splice-ml/splice/train/run"
)

// ranks are those that train together.
type ranks struct {
	group  dist.Group
	signal context.Context // of this rank: its end asks all to stop
	stop   bool            // a rank was asked to stop before the last step's sum was made
	in     []byte          // memory of exchanges
	out    []byte
}

func (r *ranks) several() bool { return r.group != nil && r.group.Size() > 1 }

// asked reports whether this rank was asked to stop.
func (r *ranks) asked() bool { return r.several() && r.signal.Err() != nil }

// grow returns n bytes for exchanges, b's if it has as many.
func (r *ranks) grow(b []byte, n int) []byte {
	if cap(b) < n {
		b = r.group.Alloc(n + n/2)
	}
	return b[:n]
}

// join makes the fit one of a group's. Among several ranks the context that it returns does not end: they stop together, after a step that
// they all make.
func (f *fit) join(ctx context.Context) (context.Context, error) {
	f.ranks = ranks{group: f.Group, signal: ctx}
	if f.Group == nil {
		f.ranks.group = dist.Local{}
	}
	if !f.ranks.several() {
		return ctx, nil
	}
	if n := f.Group.Size(); f.Shards < n {
		return nil, f.common(run.BadInput(fmt.Errorf("train: %d ranks are dealt the shards of each batch, of which there are %d: set train.shards to a power "+
			"of two of %d or more, or start fewer ranks", n, max(1, f.Shards), n)))
	}
	f.CacheFeatures = false // the file of them would be written by all ranks
	return context.WithoutCancel(ctx), nil
}

// writes reports whether this rank writes the run.
func (f *fit) writes() bool { return !f.ranks.several() || f.ranks.group.Rank() == 0 }

// common marks an error that all ranks have.
func (f *fit) common(err error) error {
	if !f.ranks.several() || err == nil {
		return err
	}
	return &dist.Common{Err: err}
}

// stopped reports whether the training is to stop before its next step.
func (f *fit) stopped(ctx context.Context) bool {
	if f.ranks.several() {
		return f.ranks.stop
	}
	return ctx.Err() != nil
}

// addUp makes the sum of the step's shards.
func (f *fit) addUp() (err error) {
	if f.ranks.stop, err = f.sum.Finish(f.ranks.asked()); err != nil {
		return fmt.Errorf("train: step %d: %w", f.st.Step+1, err)
	}
	if !f.sum.Finite() {
		return f.diverged(f.st.Step+1, fmt.Sprintf("the loss is %v", f.sum.Loss))
	}
	return nil
}

// collectCounts makes rank 0's counts of rows those of all ranks.
func (f *fit) collectCounts() error {
	if !f.ranks.several() || f.counts == nil {
		return nil
	}
	for _, g := range f.counts.groups {
		if err := dist.Collect(f.ranks.group, g.n); err != nil {
			return err
		}
	}
	return nil
}

// resumed is what rank 0 tells the others of a state that it has loaded.
type resumed struct {
	Found     bool
	State     []byte // JSON
	Saved     int64
	Optimizer ckpt.Checkpoint // its tensors without values
	Averages  []int64         // updates
}

// resume loads the state, which rank 0 reads.
func (f *fit) resume() (bool, error) {
	if !f.ranks.several() {
		return f.load()
	}
	g, m := f.ranks.group, resumed{}
	if f.writes() {
		found, err := f.load()
		if err != nil {
			return false, err
		}
		m = resumed{Found: found, Saved: f.saved}
		if m.State, err = json.Marshal(f.st); err != nil {
			return false, fmt.Errorf("%w: %w", ErrResume, err)
		}
		if found {
			m.Optimizer.Meta = f.opt.State().Meta
			for _, t := range f.opt.State().Tensors {
				m.Optimizer.Tensors = append(m.Optimizer.Tensors, ckpt.Tensor{Name: t.Name, Shape: t.Shape})
			}
			for _, a := range f.averages.list() {
				m.Averages = append(m.Averages, a.n)
			}
		}
	}
	if err := dist.Share(g, &m, 0); err != nil || !m.Found {
		return false, err
	}
	return true, f.receive(&m)
}

// receive takes over what rank 0 has loaded.
func (f *fit) receive(m *resumed) error {
	if err := f.shareParams(); err != nil {
		return err
	}
	opt := m.Optimizer
	if f.writes() {
		opt = *f.opt.State()
	}
	for i := range opt.Tensors {
		t := &opt.Tensors[i]
		if !f.writes() {
			t.Data = make([]float32, t.Shape[0])
		}
		if err := dist.ShareFloats(f.ranks.group, t.Data, 0); err != nil {
			return err
		}
	}
	for _, a := range f.averages.list() {
		for _, v := range a.values {
			if err := dist.ShareFloats(f.ranks.group, v, 0); err != nil {
				return err
			}
		}
	}
	if f.writes() {
		return nil
	}
	for i, a := range f.averages.list() {
		a.n = m.Averages[i]
	}
	if err := f.opt.Load(&opt, f.trained()); err != nil {
		return err
	}
	var st state
	if err := json.Unmarshal(m.State, &st); err != nil {
		return err
	}
	if st.Counts == "" {
		f.counts = nil
	}
	f.st, f.saved, f.savedAny = st, m.Saved, true
	return f.sched.Load(st.Schedule)
}

// shareParams gives all ranks the parameters of rank 0.
func (f *fit) shareParams() error {
	if !f.ranks.several() {
		return nil
	}
	for _, q := range f.Params.All() {
		if err := dist.ShareFloats(f.ranks.group, q.Data, 0); err != nil {
			return err
		}
	}
	return nil
}

// scored is a batch with its logits.
type scored struct {
	batch  *data.Batch
	logits []float32
}

// errStopped is the error of an evaluation among several ranks of which one was asked to stop.
var errStopped = errors.New("train: a rank was asked to stop")

// deal scores the batches of a source in turn, each rank one of them. Rank 0 gets all of them, in their order, and the others none.
func (r *ranks) deal(prog Predictor, src data.Source) iter.Seq2[scored, error] {
	size, me := r.group.Size(), r.group.Rank()
	return func(yield func(scored, error) bool) {
		var round []*data.Batch // of rank 0
		var mine []float32
		n := 0
		exchange := func() bool {
			logits, err := r.toFirst(mine)
			if err != nil {
				yield(scored{}, err)
				return false
			}
			for i, b := range round {
				if !yield(scored{b, logits[i]}, nil) {
					return false
				}
			}
			round, mine, n = round[:0], nil, 0
			return true
		}
		for b, err := range r.batches(src, prog.Batch()) {
			if err != nil {
				yield(scored{}, err)
				return
			}
			if n == me {
				if _, err := prog.Run(b, 0); err != nil {
					yield(scored{}, err)
					return
				}
				z := prog.Logits()
				mine = z[:len(z)/prog.Batch()*b.N]
			}
			if me == 0 {
				round = append(round, b.Clone())
			}
			if n++; n == size && !exchange() {
				return
			}
		}
		if n > 0 {
			exchange()
		}
	}
}

// batches returns the batches of an evaluation, of which a rank but the first needs only its own.
func (r *ranks) batches(src data.Source, size int) iter.Seq2[*data.Batch, error] {
	if d, ok := src.(data.Dealer); ok && r.group.Rank() > 0 {
		return d.BatchesOf(0, size, 0, func(batch int) bool { return batch%r.group.Size() == r.group.Rank() })
	}
	return src.Batches(0, size)
}

// toFirst sends logits to rank 0, which gets those of all ranks.
func (r *ranks) toFirst(mine []float32) ([][]float32, error) {
	size := r.group.Size()
	head, heads, sizes := make([]byte, 16), make([]byte, 16*size), make([]int, size)
	binary.LittleEndian.PutUint64(head, uint64(4*len(mine)))
	if r.asked() {
		head[8] = 1
	}
	for k := range sizes {
		sizes[k] = len(head)
	}
	if err := r.group.Allgatherv(head, heads, sizes); err != nil {
		return nil, err
	}
	send, recv, longest := make([]int, size), make([]int, size), 0
	logits := make([][]float32, size)
	for k := range size {
		if heads[16*k+8] != 0 {
			return nil, errStopped
		}
		n := int(binary.LittleEndian.Uint64(heads[16*k:])) / 4
		longest = max(longest, n)
		if r.group.Rank() == 0 {
			logits[k] = make([]float32, n)
		}
	}
	piece := gathered / size
	for lo := 0; lo < longest; lo += piece {
		part := func(x []float32) []float32 { return x[min(lo, len(x)):min(lo+piece, len(x))] }
		total := 0
		for k, z := range logits {
			recv[k] = 4 * len(part(z))
			total += recv[k]
		}
		send[0] = 4 * len(part(mine))
		r.in, r.out = r.grow(r.in, send[0]), r.grow(r.out, total)
		copy(floatsOf(r.in), part(mine))
		if err := r.group.Alltoallv(r.in, send, r.out, recv); err != nil {
			return nil, err
		}
		out := floatsOf(r.out)
		for _, z := range logits {
			out = out[copy(part(z), out):]
		}
	}
	return logits, nil
}

// gathered is how many logits travel at once.
const gathered = 1 << 24

// floatsOf returns memory of exchanges as float32s.
func floatsOf(b []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}

// told is what rank 0 tells the others of an evaluation.
type told struct {
	Scores Scores
	Bad    *OutputError
}

// tell gives all ranks the scores that rank 0 has, or the error of an evaluation that none of them can go on from.
func (r *ranks) tell(s *Scores, err error) (*Scores, error) {
	if err != nil && (r.group.Rank() > 0 || errors.Is(err, errStopped) || errors.Is(err, dist.ErrLost)) {
		return nil, err
	}
	m := told{}
	if r.group.Rank() == 0 {
		switch {
		case err == nil:
			m.Scores = *s
		case !errors.As(err, &m.Bad):
			return nil, err
		}
	}
	if err := dist.Share(r.group, &m, 0); err != nil {
		return nil, err
	}
	if m.Bad != nil {
		return nil, m.Bad
	}
	return &m.Scores, nil
}
