package data

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/splice-ml/splice/data/internal/clock"
)

// AppendPieces appends the tokens of a Multi's or a Sequence's cell to list. These are the pieces between separators that are not
// blank, at most MaxLen of them: the first ones, or with KeepLast the last ones.
func (f *MapFeature) AppendPieces(list [][]byte, cell []byte) [][]byte {
	start := len(list)
	for len(cell) > 0 && (f.Keep == KeepLast || len(list)-start < f.MaxLen) {
		var piece []byte
		if i := bytes.Index(cell, []byte(f.Separator)); i >= 0 {
			piece, cell = cell[:i], cell[i+len(f.Separator):]
		} else {
			piece, cell = cell, nil
		}
		if len(piece) > 0 {
			list = append(list, piece)
		}
	}
	if n := len(list) - start; n > f.MaxLen {
		copy(list[start:], list[len(list)-f.MaxLen:])
		list = list[:start+f.MaxLen]
	}
	return list
}

// AppendToken appends the token of a number or time, by a transform that makes tokens of them. A blank is the empty token.
func (f *MapFeature) AppendToken(dst []byte, v float64) []byte {
	if math.IsNaN(v) {
		return dst
	}
	n := 0
	switch f.Transform {
	case Hour:
		n = clock.Hour(v)
	case Weekday:
		n = clock.Weekday(v)
	case Weekend:
		n = clock.Weekend(v)
	case Bucket, QuantileBucket:
		n = f.bucket(v)
	default:
		if v > 2 {
			l := math.Log(v)
			v = math.Floor(l * l)
		}
		n = int(max(min(v, math.MaxInt32), math.MinInt32))
	}
	return strconv.AppendInt(dst, int64(n), 10)
}

// bucket returns the number of edges that are at most v.
func (f *MapFeature) bucket(v float64) int {
	n, equal := slices.BinarySearch(f.Edges, v)
	if equal {
		n++
	}
	return n
}

// Token returns the part of a cell of tokens that is the token: its first characters, if the feature is of these.
func (f *MapFeature) Token(cell []byte) []byte {
	if f.Prefix == 0 || len(cell) <= f.Prefix {
		return cell
	}
	at := 0
	for range f.Prefix {
		if at == len(cell) {
			break
		}
		_, n := utf8.DecodeRune(cell[at:])
		at += n
	}
	return cell[:at]
}

// Value returns v as a model sees it: transformed, or the fill if v is a blank.
func (f *MapFeature) Value(v float64) float32 {
	switch {
	case math.IsNaN(v):
		return float32(f.Fill)
	case f.Transform == Log1p:
		if n := int(v); n > 0 && n < len(log1ps) && float64(n) == v {
			return log1ps[n]
		}
		return log1p(v)
	case f.Transform == Standardize:
		return float32(min(max((v-f.Mean)/f.Std, -math.MaxFloat32), math.MaxFloat32))
	case f.Transform == MinMax:
		return float32(min(max((v-f.Low)/(f.High-f.Low), -math.MaxFloat32), math.MaxFloat32))
	}
	return float32(v)
}

func log1p(v float64) float32 { return float32(math.Copysign(math.Log1p(math.Abs(v)), v)) }

// log1ps has log1p of small counts, which most numbers of logs are: to look one up takes a fraction of the time.
var log1ps = func() (list [1 << 10]float32) {
	for n := range list {
		list[n] = log1p(float64(n))
	}
	return list
}()
