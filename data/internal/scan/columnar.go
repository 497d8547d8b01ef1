package scan

import (
	"context"
	"fmt"
	"io"
	"os"
)

// Columnar is a Format of files that are no text: their columns lie apart. They are read in blocks of rows. The methods that look for
// records in text are not called. The parser of a file is a ColumnFile.
type Columnar interface {
	Format
	// Rows returns the number of rows of a file.
	Rows(path string) (int64, error)
}

// ColumnFile is an open file whose columns lie apart.
type ColumnFile interface {
	Parser
	// Blocks calls emit for blocks of rows, in order.
	Blocks(emit func(b RowBlock) error) error
	File() *os.File
	Close() error
}

// columns sends the blocks of a file whose columns lie apart.
func (s *Scanner) columns(ctx context.Context, f Columnar, path string, emit func(*Block) error) error {
	pr, _, err := f.Parser(path, nil, s.Plan)
	if err != nil {
		return err
	}
	file := pr.(ColumnFile)
	src := &FileRun{Path: path, Parser: pr, InRows: true, close: file.Close}
	src.users.Add(1)
	s.keep(src)
	before, err := stat(file.File())
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	err = file.Blocks(func(b RowBlock) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		src.users.Add(1)
		block := &Block{Seq: s.seq, Src: src, Line: b.First + 1, Rows: b}
		s.seq++
		s.rows += int64(b.Rows)
		return emit(block)
	})
	if err != nil {
		return err
	}
	if !s.unsummed {
		if before.Hash, err = hash(&stopped{ctx, io.NewSectionReader(file.File(), 0, before.Size)}); err != nil {
			return ReadError(path, err)
		}
		before.Path, before.Sample = path, sample(file.File(), before.Size)
		s.sums = append(s.sums, before)
	}
	return src.release()
}

// stopped is a reader that ends with a context.
type stopped struct {
	ctx context.Context
	r   io.Reader
}

func (r *stopped) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// keep remembers an open file, and forgets those that are closed.
func (s *Scanner) keep(src *FileRun) {
	open := s.open[:0]
	for _, o := range s.open {
		if o.users.Load() > 0 {
			open = append(open, o)
		}
	}
	s.open = append(open, src)
}

// closeAll closes files that blocks were left of.
func (s *Scanner) closeAll() {
	for _, src := range s.open {
		if src.users.Load() > 0 {
			_ = src.close()
		}
	}
}
