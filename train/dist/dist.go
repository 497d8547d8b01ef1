// Package dist is how the ranks of a training on several machines exchange bytes, and the order in which sums over them are made, so that
// their bits do not depend on the number of ranks. Only data moves by an engine; what is added up is added here.
package dist

import (
	"errors"
	"fmt"
)

// Group is the ranks of a training, of which this process, or goroutine, is one. All ranks make the same calls in the same order; a call
// returns when the rank has what it gives it. One goroutine at a time may use a Group. After an error it is of no use but for Abort and Close.
type Group interface {
	Rank() int // of this one, from 0
	Size() int // number of ranks
	// Barrier waits for all ranks.
	Barrier() error
	// Bcast copies the root's b to all ranks, whose b have the same length.
	Bcast(b []byte, root int) error
	// Allgatherv writes the parts of all ranks into out, in their order. counts has the bytes of each part; in is this rank's.
	Allgatherv(in, out []byte, counts []int) error
	// Alltoallv sends the parts of in to the ranks, in their order, and writes what they send into out. send and recv have the bytes of
	// each part.
	Alltoallv(in []byte, send []int, out []byte, recv []int) error
	// Alloc returns n bytes, aligned to 64, that calls may use without a copy. They are never freed.
	Alloc(n int) []byte
	// Abort ends all ranks: other processes with the exit code, other goroutines by an error of their calls.
	Abort(code int)
	// Close leaves the group. All ranks must, or Abort.
	Close() error
}

// ErrLost is the error of calls after a rank has ended, or has not come in time.
var ErrLost = errors.New("dist: another rank is lost")

// Common is an error that all ranks have: it is enough that rank 0 prints it.
type Common struct{ Err error }

// Error returns the error's text.
func (e *Common) Error() string { return e.Err.Error() }

// Unwrap returns the error.
func (e *Common) Unwrap() error { return e.Err }

// Of names a rank: "rank 1 of 4".
func Of(g Group) string { return fmt.Sprintf("rank %d of %d", g.Rank(), g.Size()) }

// Shards returns the virtual shards lo, …, hi-1 of so many that a rank has.
func Shards(shards, rank, size int) (lo, hi int) {
	return rank * shards / size, (rank + 1) * shards / size
}
