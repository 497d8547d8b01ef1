// Package given reads embeddings that were made elsewhere, a vector for each of some tokens: text as word2vec and GloVe write it, and arrays of
// NumPy. Rows are read one after the other.
package given

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/splice-ml/splice/data/internal/scan"
	"github.com/splice-ml/splice/data/npy"
)

// Row takes the vector of a token. where says where it stands, for messages.
type Row func(token []byte, vector []float32, where string) error

// maxLine is how many bytes a line has at most, of a token and its numbers.
const maxLine = 8 << 20

// lines calls f for each line of a text file, numbered from 1.
func lines(ctx context.Context, path string, f func(n int, line []byte) error) error {
	in, err := scan.OpenInput(ctx, path)
	if err != nil {
		return err
	}
	defer in.Close()
	s := bufio.NewScanner(in)
	s.Buffer(make([]byte, 1<<16), maxLine)
	n := 0
	for s.Scan() {
		n++
		line := bytes.TrimSuffix(s.Bytes(), []byte("\r"))
		if n == 1 {
			line = bytes.TrimPrefix(line, scan.UTF8BOM)
		}
		if _, fault := scan.TextFault(line); fault != "" {
			return fmt.Errorf("%s:%d: %s", path, n, fault)
		}
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := f(n, line); err != nil {
			return err
		}
	}
	if errors.Is(s.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("%s:%d: the line is longer than %d bytes; is this a file of embeddings?", path, n+1, maxLine)
	}
	if s.Err() != nil {
		return scan.ReadError(path, s.Err())
	}
	return nil
}

// Tokens calls f for each token of a text file, one a line.
func Tokens(ctx context.Context, path string, f func(n int, token []byte) error) error {
	return lines(ctx, path, f)
}

// Text reads a token and its dim numbers a line, with blanks or tabs between them. A token may have blanks in it: the last dim words are the
// numbers. A first line of two whole numbers, how many tokens there are and dim, is word2vec's header.
func Text(ctx context.Context, path string, dim int, row Row) error {
	vector := make([]float32, dim)
	return lines(ctx, path, func(n int, line []byte) error {
		where := fmt.Sprintf("%s:%d", path, n)
		rest := bytes.TrimRight(line, " \t")
		if len(rest) == 0 {
			return fmt.Errorf("%s: the line is blank; want a token and %d numbers", where, dim)
		}
		if n == 1 && isHeader(rest, dim) {
			return nil
		}
		for i := dim - 1; i >= 0; i-- {
			at := bytes.LastIndexAny(rest, " \t")
			if at < 0 {
				return fmt.Errorf("%s: has %d numbers after the token, want %d (dim)", where, dim-1-i, dim)
			}
			v, err := strconv.ParseFloat(string(rest[at+1:]), 32)
			if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("%s: %s, number %d of the last %d, is no finite number in the range of float32", where, scan.Show(rest[at+1:]), i+1, dim)
			}
			vector[i], rest = float32(v), bytes.TrimRight(rest[:at], " \t")
		}
		if fields := bytes.Fields(rest); len(fields) > 1 {
			if _, err := strconv.ParseFloat(string(fields[len(fields)-1]), 32); err == nil {
				return fmt.Errorf("%s: has more than %d numbers (dim) after the token", where, dim)
			}
		}
		return row(rest, vector, where)
	})
}

// isHeader reports whether a first line is word2vec's.
func isHeader(line []byte, dim int) bool {
	fields := bytes.Fields(line)
	if len(fields) != 2 {
		return false
	}
	n, err := strconv.Atoi(string(fields[0]))
	d, err2 := strconv.Atoi(string(fields[1]))
	return err == nil && err2 == nil && n >= 0 && (d == dim || dim != 1)
}

// Array reads the rows of an array of dim columns (.npy), and their tokens from a text file, one a line.
func Array(ctx context.Context, path, tokens string, dim int, row Row) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	a, err := npy.New(f)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := checkShape(path, a.Shape, dim); err != nil {
		return err
	}
	next := rowsOf(a, path, dim)
	n := 0
	err = Tokens(ctx, tokens, func(line int, token []byte) error {
		if n++; n > a.Shape[0] {
			return fmt.Errorf("%s:%d: more tokens than %s has rows (%d)", tokens, line, path, a.Shape[0])
		}
		vector, err := next()
		if err != nil {
			return err
		}
		return row(token, vector, fmt.Sprintf("%s:%d", tokens, line))
	})
	if err == nil && n < a.Shape[0] {
		err = fmt.Errorf("%s: has %d tokens, %s has %d rows", tokens, n, path, a.Shape[0])
	}
	return err
}

// Archive reads an archive (.npz) of the arrays key, of tokens, and value, of their vectors, as FuxiCTR has them.
func Archive(ctx context.Context, path string, dim int, row Row) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	z, err := npy.OpenArchive(f, info.Size())
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	keys, closeKeys, err := z.Open("key")
	if err != nil {
		return fmt.Errorf("%s: %w; want the arrays key and value, of which there are %s", path, err, strings.Join(z.Names(), ", "))
	}
	defer closeKeys.Close()
	values, closeValues, err := z.Open("value")
	if err != nil {
		return fmt.Errorf("%s: %w; want the arrays key and value, of which there are %s", path, err, strings.Join(z.Names(), ", "))
	}
	defer closeValues.Close()
	if err := checkShape(path, values.Shape, dim); err != nil {
		return err
	}
	if len(keys.Shape) != 1 || keys.Shape[0] != values.Shape[0] {
		return fmt.Errorf("%s: key has the shape %v, value %v; want a key for each vector", path, keys.Shape, values.Shape)
	}
	next := rowsOf(values, path, dim)
	var token []byte
	for i := range keys.Shape[0] {
		if err := ctx.Err(); err != nil {
			return err
		}
		if token, err = keys.Append(token[:0]); err != nil {
			return fmt.Errorf("%s: key %d: %w", path, i, short(err))
		}
		vector, err := next()
		if err != nil {
			return err
		}
		if err := row(token, vector, fmt.Sprintf("%s, row %d", path, i)); err != nil {
			return err
		}
	}
	return nil
}

// checkShape reports an array that has not dim columns.
func checkShape(path string, shape []int, dim int) error {
	if len(shape) != 2 || shape[1] != dim {
		return fmt.Errorf("%s: has the shape %v; want rows of %d numbers (dim)", path, shape, dim)
	}
	return nil
}

// rowsOf returns a function that reads the next row.
func rowsOf(a *npy.Array, path string, dim int) func() ([]float32, error) {
	vector, n := make([]float32, dim), 0
	return func() ([]float32, error) {
		for i := range vector {
			v, err := a.Float()
			if err != nil {
				return nil, fmt.Errorf("%s, row %d: %w", path, n, short(err))
			}
			if vector[i] = float32(v); !(math.Abs(v) <= math.MaxFloat32) {
				return nil, fmt.Errorf("%s, row %d: number %d is %g, want a finite one in the range of float32", path, n, i, v)
			}
		}
		n++
		return vector, nil
	}
}

// short names the end of a file that has more to come.
func short(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the file ends too early; copy it again")
	}
	return err
}

// TokensFile returns the text file of tokens beside a file.
func TokensFile(path string) string { return strings.TrimSuffix(path, filepath.Ext(path)) + ".tokens" }
