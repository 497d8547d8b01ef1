package ensemble_test

import (
	"errors"
	"iter"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/train/ensemble"
)

// rows is a source of rows with one number and a label each.
type rows struct {
	x, label []float32
}

func (r rows) Schema() *data.Schema { return schema() }
func (r rows) Rows() int64          { return int64(len(r.x)) }
func (r rows) Batches(_, size int) iter.Seq2[*data.Batch, error] {
	return func(yield func(*data.Batch, error) bool) {
		for at := 0; at < len(r.x); at += size {
			b := &data.Batch{Size: size, Dense: make([]float32, size), Label: make([]float32, size)}
			b.N = copy(b.Dense, r.x[at:])
			copy(b.Label, r.label[at:])
			if !yield(b, nil) {
				return
			}
		}
	}
}

// TestMemberInStep: a member scores its own rows for the batches of another run, and says where they are not the same.
func TestMemberInStep(t *testing.T) {
	first := rows{[]float32{1, 2, 3}, []float32{0, 1, 0}}
	pass := func(own rows) (z []float32, err error) {
		m := &ensemble.Member{Program: program(t, line(t, 1), 2), Name: "b", First: "a", Labels: true}
		m.Follow(own)
		defer func() { err = errors.Join(err, m.End()) }()
		for b, err := range first.Batches(0, 2) {
			if err != nil {
				return nil, err
			}
			if _, err := m.Run(b, 0); err != nil {
				return nil, err
			}
			z = append(z, m.Logits()[:b.N]...)
		}
		return z, nil
	}
	z, err := pass(rows{[]float32{10, 20, 30}, first.label})
	if err != nil || len(z) != 3 || z[0] != 11 || z[1] != 21 || z[2] != 31 {
		t.Errorf("logits %v, %v, want those of the member's own rows [11 21 31]", z, err)
	}
	for _, tc := range []struct {
		name string
		own  rows
		want string
	}{
		{"more", rows{[]float32{1, 2, 3, 4, 5}, []float32{0, 1, 0, 0, 0}}, "not as many as those of a"},
		{"a batch more", rows{[]float32{1, 2, 3, 4}, []float32{0, 1, 0, 0}}, "not as many as those of a"},
		{"fewer", rows{[]float32{1, 2}, []float32{0, 1}}, "b: has 2 rows, fewer than those of a"},
		{"labels", rows{[]float32{1, 2, 3}, []float32{0, 0, 0}}, "has other labels in rows 1 to 2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := pass(tc.own)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !errors.As(err, new(ensemble.RowsError)) {
				t.Errorf("error %v, want a RowsError with %q", err, tc.want)
			}
		})
	}
}
