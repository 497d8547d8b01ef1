package table

import "github.com/splice-ml/splice/data"

// GapBytes is how much of a file a view reads at once.
const GapBytes = gapBytes

// Held is the memory that a source holds.
type Held struct {
	NumbersCap                         int // room for row numbers of a view
	Pool                               any // of the file
	Windows                            int
	WindowBytes, GapBytes, RecordBytes int // of the first window
}

// HeldBy returns the memory that a source holds after an epoch.
func HeldBy(src data.Source) Held {
	s := src.(*source)
	c := s.pool.spare[0]
	return Held{cap(s.kept), s.pool, len(s.pool.spare), cap(c.win), cap(c.gap), s.rec.size}
}
