package scan

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestSplitAt(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var ends []uint32
	for range 20_000 {
		data := make([]byte, r.IntN(60))
		for i := range data {
			switch r.IntN(4) {
			case 0:
				data[i] = ','
			case 1:
				data[i] = ',' ^ 1 // what an inexact test takes for one
			case 2:
				data[i] = ',' | 0x80
			default:
				data[i] = byte(r.IntN(256))
			}
		}
		lo := r.IntN(len(data) + 1)
		hi := lo + r.IntN(len(data)-lo+1)
		want := []uint32{}
		for i := lo; i < hi; i++ {
			if data[i] == ',' {
				want = append(want, uint32(i))
			}
		}
		want = append(want, uint32(hi))
		if ends = SplitAt(ends[:0], data, lo, hi, ','); !slices.Equal(ends, want) {
			t.Fatalf("splitAt(%q, %d, %d) = %v, want %v", data, lo, hi, ends, want)
		}
	}
}
