package given

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/splice-ml/splice/data/internal/parquet"
)

// atOnce is how many rows of a Parquet file are decoded together.
const atOnce = 256

// Parquet reads the columns key, of tokens, and value, of lists of dim numbers, as FuxiCTR has them. Integers are tokens by their digits.
func Parquet(ctx context.Context, path string, dim int, row Row) error {
	f, err := parquet.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	keys, err := cursor(f, "key", parquet.Want{Text: true, Longest: maxLine}, false)
	if err != nil {
		return err
	}
	values, err := cursor(f, "value", parquet.Want{Number: true, Longest: maxLine}, true)
	if err != nil {
		return err
	}
	defer keys.Close()
	defer values.Close()
	var text []byte
	var tokens, numbers parquet.Cells
	vector := make([]float32, dim)
	turn := int64(0)
	for g, group := range f.Groups {
		for first := int64(0); first < group.Rows; first += atOnce {
			if err := ctx.Err(); err != nil {
				return err
			}
			n := int(min(atOnce, group.Rows-first))
			if text, err = keys.Read(turn, g, n, text[:0], &tokens); err != nil {
				return err
			}
			if _, err = values.Read(turn, g, n, nil, &numbers); err != nil {
				return err
			}
			turn++
			at := 0
			for i := range n {
				where := fmt.Sprintf("%s, row %d", path, group.First+first+int64(i))
				if has := int(numbers.Len[i]); has != dim {
					return fmt.Errorf("%s: value has %d numbers, want %d (dim)", where, has, dim)
				}
				for k, v := range numbers.Number[at : at+dim] {
					if vector[k] = float32(v); !(math.Abs(v) <= math.MaxFloat32) {
						return fmt.Errorf("%s: number %d is %g, want a finite one in the range of float32", where, k, v)
					}
				}
				at += dim
				if bad := tokens.Bad; len(bad) > 0 && bad[0].Value == i {
					return fmt.Errorf("%s: key: %s", where, bad[0].Fault)
				}
				s := tokens.Span[i]
				if err := row(text[s.Lo:s.Hi], vector, where); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// cursor returns a reader of a column that must have lists, or none.
func cursor(f *parquet.File, name string, want parquet.Want, list bool) (*parquet.Cursor, error) {
	for i := range f.Columns {
		c := &f.Columns[i]
		switch {
		case c.Name != name:
			continue
		case c.Why != "":
			return nil, fmt.Errorf("%s: column %s: %s", f.Path, name, c.Why)
		case c.List != list:
			return nil, fmt.Errorf("%s: column %s: want %s", f.Path, name, map[bool]string{true: "lists of numbers", false: "one token a row"}[list])
		}
		return f.Cursor(c, want), nil
	}
	return nil, fmt.Errorf("%s: no column %s; want key and value, of which there are %s", f.Path, name, strings.Join(f.Names(), ", "))
}
