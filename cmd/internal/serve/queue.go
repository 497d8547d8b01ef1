package serve

import (
	"context"
	"errors"
	"runtime"
	"sync"

	"github.com/splice-ml/splice"
	"github.com/splice-ml/splice/data/crash"
)

// errFull says that as many rows wait as may.
var errFull = errors.New("too many rows wait to be scored: try again in a moment")

// answer is what a run predicts of rows, each in one of the lists.
type answer struct {
	scores  []float64
	classes []splice.Class
	items   [][]splice.Item
	tasks   [][]float64 // scores of each of several tasks
}

// part returns the answer of n rows from row i on, with k items each.
func (a answer) part(i, n, k int) answer {
	var p answer
	if a.scores != nil {
		p.scores = a.scores[i : i+n]
	}
	if a.classes != nil {
		p.classes = a.classes[i : i+n]
	}
	if a.tasks != nil {
		p.tasks = a.tasks[i : i+n]
	}
	if a.items != nil {
		for _, list := range a.items[i : i+n] {
			p.items = append(p.items, list[:min(k, len(list))])
		}
	}
	return p
}

// task is a request's rows on their way through a queue.
type task struct {
	ctx  context.Context
	rows []splice.Row
	k    int // items of a row
	done chan struct{}
	answer
	err error
}

// queue joins rows of requests that wait into batches. A request that finds a free worker is scored at once and alone. What comes while all
// workers are busy waits, and goes in batches of up to so many rows.
type queue struct {
	predict func(ctx context.Context, rows []splice.Row, k int) (answer, error)
	begin   func() (end func())      // around the life of a worker
	observe func(requests, rows int) // of each batch
	limits  Limits
	workers int

	mu      sync.Mutex
	waiting []*task
	rows    int // that wait
	running int // workers
}

// do returns what the run predicts of rows. It waits for its turn, at most until ctx ends.
func (q *queue) do(ctx context.Context, rows []splice.Row, k int) (answer, error) {
	// Goroutines that wake each other stay on their processors' own queues, and those whose bodies the network has delivered wait on the common one,
	// which is looked at each 61st time. Here this goroutine goes to its end, so that no client waits longer than the others.
	runtime.Gosched()
	t := &task{ctx: ctx, rows: rows, k: k, done: make(chan struct{})}
	if err := q.add(t); err != nil {
		return answer{}, err
	}
	select {
	case <-t.done:
		return t.answer, t.err
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
}

// add gives a task to a free worker, or has it wait.
func (q *queue) add(t *task) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running < q.workers {
		q.running++
		end := q.begin()
		go func() {
			defer end()
			q.work([]*task{t})
		}()
		return nil
	}
	if len(q.waiting) > 0 && q.rows+len(t.rows) > q.limits.Queue {
		return errFull
	}
	q.waiting = append(q.waiting, t)
	q.rows += len(t.rows)
	return nil
}

// work scores a batch, and then others until nothing waits.
func (q *queue) work(batch []*task) {
	for ; batch != nil; batch = q.take() {
		q.score(batch)
	}
}

// take returns the tasks that are next, nil if there are none: then its worker has ended.
func (q *queue) take() []*task {
	q.mu.Lock()
	defer q.mu.Unlock()
	var batch []*task
	rows, n := 0, 0
	for _, t := range q.waiting {
		if len(batch) > 0 && rows+len(t.rows) > q.limits.Batch {
			break
		}
		n++
		q.rows -= len(t.rows)
		if t.err = t.ctx.Err(); t.err != nil { // nobody waits for it any more
			close(t.done)
			continue
		}
		batch, rows = append(batch, t), rows+len(t.rows)
	}
	clear(q.waiting[:n])
	if q.waiting = q.waiting[n:]; len(q.waiting) == 0 {
		q.waiting = nil
	}
	if batch == nil {
		q.running--
	}
	return batch
}

// score answers tasks together. If that is an error, each is scored alone, so that it is the error of those that it is about.
func (q *queue) score(batch []*task) {
	if len(batch) > 1 && q.together(batch) {
		return
	}
	for _, t := range batch {
		t.answer, t.err = q.call(t.ctx, t.rows, t.k)
		q.observe(1, len(t.rows))
		close(t.done)
	}
}

func (q *queue) together(batch []*task) bool {
	var rows []splice.Row
	k := 0
	for _, t := range batch {
		rows, k = append(rows, t.rows...), max(k, t.k)
	}
	ctx, cancel := context.WithTimeout(context.Background(), q.limits.Wait)
	defer cancel()
	all, err := q.call(ctx, rows, k)
	if err != nil {
		return false
	}
	q.observe(len(batch), len(rows))
	at := 0
	for _, t := range batch {
		t.answer = all.part(at, len(t.rows), t.k)
		at += len(t.rows)
		close(t.done)
	}
	return true
}

func (q *queue) call(ctx context.Context, rows []splice.Row, k int) (a answer, err error) {
	err = crash.Guard(func() error {
		a, err = q.predict(ctx, rows, k)
		return err
	})
	return a, err
}

// length returns the number of rows that wait.
func (q *queue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.rows
}
