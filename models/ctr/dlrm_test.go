package ctr

import (
	"slices"
	"testing"
)

// The bottom tower ends in the width of embeddings, drops nothing, and leaves the options of the top tower alone.
func TestBottomTower(t *testing.T) {
	m := DLRM{EmbeddingDim: 4, BottomHiddenUnits: make([]int, 1, 2), Tower: Tower{HiddenUnits: []int{9}, NetDropout: .5, BatchNorm: true}}
	m.BottomHiddenUnits[0] = 7
	if b := m.bottom(); !slices.Equal(b.HiddenUnits, []int{7, 4}) || b.NetDropout != 0 || !b.BatchNorm {
		t.Errorf("bottom tower %+v", b)
	}
	if m.BottomHiddenUnits[:2][1] != 0 || m.HiddenUnits[0] != 9 || m.NetDropout != .5 {
		t.Errorf("the options are %+v now", m)
	}
}
